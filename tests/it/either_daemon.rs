//! A daemon of either program, for a single case: one module `m`, to be read and written.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Ended when dropped.
pub struct EitherDaemon {
    child: Child,
    address: SocketAddrV4,
}

/// An address on loopback that no other daemon of this process has: whoever asks for a free port alone may find there
/// somebody else, who was faster.
fn own_address() -> Ipv4Addr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let [_, _, high, low] = GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let [.., process] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, process.clamp(1, 254), high, low)
}

/// Whether somebody listens on exactly that address. A connection would not tell: one that listens on all addresses may
/// answer it, and it may come from the very port that it goes to.
fn listens(at: SocketAddrV4) -> bool {
    const LISTEN: &str = "0A";
    let address = format!("{:08X}:{:04X}", u32::from_ne_bytes(at.ip().octets()), at.port());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&address) && words.nth(1) == Some(LISTEN)
    })
}

impl EitherDaemon {
    /// Has `program` serve `module`; its configuration is put beside that.
    pub fn start(program: &OsStr, module: &Path) -> EitherDaemon {
        let conf = module.with_extension("conf");
        // Without chroot rsync changes the texts of links.
        let own = "uid = root\ngid = root\nuse chroot = yes\n";
        let text = format!(
            "munge symlinks = no\nmax verbosity = 9\nlog file = /dev/null\n{own}[m]\npath = {}\nread only = no\n",
            module.display()
        );
        fs::write(&conf, text).unwrap();
        // Whoever asks for a free port may lose it again: the next is tried.
        for _ in 0..20 {
            let ip = own_address();
            let port = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap().port();
            let mut command = Command::new(program);
            command.args(["--daemon", "--no-detach", &format!("--address={ip}"), &format!("--port={port}")]);
            command.arg(format!("--config={}", conf.display())).current_dir("/");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut daemon =
                EitherDaemon { child: command.spawn().unwrap(), address: SocketAddrV4::new(ip, port) };
            let began = Instant::now();
            while daemon.child.try_wait().unwrap().is_none() {
                if listens(daemon.address) {
                    return daemon;
                }
                assert!(began.elapsed() < Duration::from_secs(60), "{program:?} does not answer");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        panic!("{program:?} --daemon does not run");
    }

    /// What stands before a path in the module.
    pub fn prefix(&self) -> String {
        format!("rsync://{}/m/", self.address)
    }
}

impl Drop for EitherDaemon {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
