//! A real `sshd` on loopback, with keys and a configuration of its own, for one test.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::requirement::{self, Need, skip};
use crate::under_test;

/// Ended when dropped.
pub struct Server {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

const SSHD: &str = "/usr/sbin/sshd";

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn key(at: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at).status();
    assert!(made.unwrap().success());
}

impl Server {
    /// Starts it. `None`, after telling why, where that cannot be.
    pub fn start() -> Option<Server> {
        if !requirement::met(&[Need::Root, Need::Program("ssh"), Need::Program("ssh-keygen")]) {
            return None;
        }
        if !Path::new(SSHD).exists() {
            skip("sshd is not installed");
            return None;
        }
        // Below /tmp: sshd asks who can write to the directories above its files.
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let at = |name: &str| dir.path().join(name);
        key(&at("host"));
        key(&at("mine"));
        fs::copy(at("mine.pub"), at("authorized")).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        // Free a moment ago: nobody else is likely to take it before sshd does.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n",
            at("host").display(),
            at("authorized").display(),
        );
        fs::write(at("config"), config).unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let mut sshd = Command::new(SSHD);
        sshd.args(["-D", "-e", "-f"]).arg(at("config")).stdin(Stdio::null()).stderr(log);
        let server = Server { child: sshd.spawn().unwrap(), port, dir };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(server.dir.path().join("log")).unwrap();
            assert!(began.elapsed() < PATIENCE, "sshd does not answer: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// What has the program under test reach itself through it, at whatever host.
    pub fn options(&self) -> Vec<OsString> {
        let mut shell = OsString::from(format!("--rsh=ssh -F none -p {} -i ", self.port));
        shell.push(self.dir.path().join("mine"));
        shell.push(" -o StrictHostKeyChecking=no -o LogLevel=ERROR -o BatchMode=yes -o HostName=127.0.0.1");
        shell.push(" -o UserKnownHostsFile=");
        shell.push(self.dir.path().join("known"));
        let mut program = OsString::from("--rsync-path=");
        program.push(under_test::binary());
        vec![shell, program]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
