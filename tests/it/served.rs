//! A daemon of the tests' own: the program itself on a loopback port of its own, and clients of it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::under_test::{Run, binary, command, copy_into, finish};

/// A running daemon with a scratch directory; both end with the test.
pub struct Served {
    scratch: tempfile::TempDir,
    child: Child,
    port: u16,
    said: Arc<Mutex<String>>,
}

impl Served {
    /// Prepares the scratch directory with `prepare`, then serves `modules`; `@/` in them begins with that directory.
    pub fn new(modules: &str, prepare: impl FnOnce(&Path)) -> Served {
        Served::start_by(Command::new(binary()), modules, prepare)
    }

    /// The same, the daemon run as an ordinary user.
    pub fn by_nobody(modules: &str, prepare: impl FnOnce(&Path)) -> Served {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", "./program-under-test"]);
        Served::start_by(command, modules, |at| {
            copy_into(at);
            prepare(at);
            fs::set_permissions(at, fs::Permissions::from_mode(0o777)).unwrap();
        })
    }

    fn start_by(mut command: Command, modules: &str, prepare: impl FnOnce(&Path)) -> Served {
        let scratch = tempfile::tempdir().unwrap();
        let at = scratch.path();
        fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
        prepare(at);
        let head = "address = 127.0.0.1\nlock file = @/lock\n";
        let text = format!("{head}{modules}").replace("@/", &format!("{}/", at.display()));
        fs::write(at.join("conf"), text).unwrap();
        // Whoever asks for a free port may lose it again: the next is tried.
        for _ in 0..20 {
            let port = free_port();
            command.current_dir(at).args(["--daemon", "--no-detach", "--config=conf"]);
            command.arg(format!("--port={port}")).stdin(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            let said = Arc::<Mutex<String>>::default();
            let listens =
                lines.by_ref().find(|line| line.contains(" listens on ") || line.contains("sluice: "));
            if listens.as_ref().is_some_and(|line| line.contains("in use")) {
                let _ended = child.wait();
                continue;
            }
            assert!(listens.as_ref().is_some_and(|line| line.contains("listens on")), "{listens:?}");
            let saying = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in lines {
                    let mut said = saying.lock().unwrap();
                    said.push_str(&line);
                    said.push('\n');
                }
            });
            return Served { scratch, child, port, said };
        }
        panic!("no free port");
    }

    /// A path in the scratch directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The daemon's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The most memory that any of its children now alive has ever had, in KiB.
    pub fn children_peak(&self) -> u64 {
        let read = |path: String| fs::read_to_string(path).unwrap_or_default();
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let children = tasks.map(|task| read(format!("{}/children", task.path().display())));
        let peak = |pid: &str| {
            let status = read(format!("/proc/{pid}/status"));
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
        };
        children.flat_map(|pids| pids.split_whitespace().map(peak).collect::<Vec<u64>>()).max().unwrap_or(0)
    }

    /// Connections that are being served.
    pub fn sessions(&self) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
        children.map(|children| children.unwrap_or_default().split_whitespace().count()).sum()
    }

    /// A client, not yet run.
    pub fn client<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = command(&binary(), self.scratch.path());
        command.arg(format!("--port={}", self.port)).args(args);
        command.env_remove("RSYNC_PASSWORD").env_remove("SLUICE_PASSWORD");
        command
    }

    /// A client, run to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        finish(self.client(args))
    }

    /// A client that knows the password `password`.
    pub fn run_as<A: AsRef<OsStr>>(&self, password: &str, args: impl IntoIterator<Item = A>) -> Run {
        let mut client = self.client(args);
        client.env("RSYNC_PASSWORD", password);
        finish(client)
    }

    /// What the daemon has said, once `what` is in it.
    #[track_caller]
    pub fn logged(&self, what: &str) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let said = self.said.lock().unwrap().clone();
            if said.contains(what) {
                return said;
            }
            assert!(Instant::now() < end, "{what:?} is not in the log:\n{said}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Makes a file with the directories above it.
pub fn file(at: &Path, name: &str, text: &str) {
    let path = at.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Every path below `at`, sorted, with a link's text or a file's contents behind it.
pub fn tree(at: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(at).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(at).unwrap().display().to_string();
        found.push(if entry.path_is_symlink() {
            format!("{name} -> {}", fs::read_link(entry.path()).unwrap().display())
        } else if entry.file_type().is_dir() {
            format!("{name}/")
        } else {
            format!("{name}: {}", fs::read_to_string(entry.path()).unwrap_or_else(|_| "…".into()).trim_end())
        });
    }
    found
}
