//! The bytes of a large file pass through no read or write.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::requirement::{self, Need};
use crate::under_test::{self, command, finish};

const SIZE: usize = 256 << 20;
/// What starting a program, reading directories and printing may cost.
const ALLOWANCE: u64 = 1 << 20;

const CALLS: &str = "trace=read,write,pread64,pwrite64,readv,writev,preadv,pwritev,preadv2,pwritev2";

/// Bytes that the calls in a trace moved.
fn bytes_in(trace: &Path) -> u64 {
    let trace = fs::read_to_string(trace).unwrap();
    trace.lines().filter_map(|line| line.rsplit_once(" = ")?.1.trim().parse::<u64>().ok()).sum()
}

/// Bytes that all processes of a copy of `src/` to `dst/` moved by reading and writing.
fn bytes_through_user_space(program: &OsStr, dir: &Path) -> u64 {
    let mut strace = command(OsStr::new("strace"), dir);
    strace.args(["-f", "-qq", "-e", CALLS, "-e", "signal=none", "-s", "0", "-o", "trace"]);
    strace.arg(program).args(["-a", "src/", "dst/"]);
    finish(strace).expect(0);
    bytes_in(&dir.join("trace"))
}

/// Where a copy is tried: the ordinary temporary directory, and tmpfs.
fn places() -> Vec<PathBuf> {
    [std::env::temp_dir(), PathBuf::from("/dev/shm")].into_iter().filter(|dir| dir.is_dir()).collect()
}

fn source_in(place: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(place).unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    // Not zeros: they could become holes.
    let bytes: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
    fs::write(dir.path().join("src/big"), bytes).unwrap();
    dir
}

#[test]
fn the_bytes_of_a_large_file_pass_no_read_or_write() {
    if !requirement::met(&[Need::Program("strace")]) || !under_test::is_sluice() {
        return;
    }
    for place in places() {
        let dir = source_in(&place);
        let bytes = bytes_through_user_space(&under_test::binary(), dir.path());
        assert!(bytes < ALLOWANCE, "{}: {bytes} bytes were read or written", place.display());
        let [src, dst] = ["src/big", "dst/big"].map(|f| fs::read(dir.path().join(f)).unwrap());
        assert!(src == dst, "{}: the copy differs", place.display());
    }
}

#[test]
fn where_nothing_is_to_be_moved_a_progress_display_costs_no_second_look() {
    if !requirement::met(&[Need::Program("strace")]) || !under_test::is_sluice() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for n in 0..60 {
        let at = dir.path().join(format!("src/{}/{n}", n % 7));
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("file"), "").unwrap();
    }
    under_test::run(dir.path(), ["-a", "src/", "dst/"]).expect(0);
    let [without, with, whole] = ["-a", "-aP", "-a --info=progress2"].map(|options| {
        let mut strace = command(OsStr::new("strace"), dir.path());
        strace.args(["-f", "-qq", "-e", "trace=newfstatat,statx,getdents64", "-o", "trace"]);
        strace.arg(under_test::binary()).args(options.split(' ')).args(["src/", "dst/"]);
        finish(strace).expect(0);
        // A call during which another thread makes one has two lines.
        let trace = fs::read_to_string(dir.path().join("trace")).unwrap();
        trace.lines().filter(|line| !line.contains(" resumed>")).count()
    });
    assert!(without > 200, "{without}");
    // The terminal, and whether standard output is one.
    assert!(with < without + 20 && whole < without + 20, "{without} calls without, {with} and {whole} with");
}

#[test]
fn the_count_sees_a_program_that_does_read_and_write() {
    if !requirement::met(&[Need::Program("strace"), Need::Program("rsync")]) {
        return;
    }
    let dir = source_in(&std::env::temp_dir());
    assert!(bytes_through_user_space(OsStr::new("rsync"), dir.path()) > 2 * SIZE as u64);
}

/// A daemon under strace, which serves `there/` read and write as module `m`.
struct Traced {
    strace: std::process::Child,
    port: u16,
    dir: PathBuf,
}

impl Traced {
    fn start(dir: &Path) -> Traced {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut strace = command(OsStr::new("strace"), dir);
        strace.args(["-f", "-qq", "-e", CALLS, "-e", "signal=none", "-s", "0", "-o", "trace-there"]);
        // What strace leaves behind is ended by its number.
        strace.args(["sh", "-c", "echo $$ >pid; exec \"$0\" \"$@\""]).arg(under_test::binary());
        strace.args(["--daemon", "--no-detach", "--module=m=there,rw", &format!("--port={port}")]);
        let traced = Traced {
            strace: strace.stderr(std::process::Stdio::null()).spawn().unwrap(),
            port,
            dir: dir.into(),
        };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "the daemon does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        traced
    }

    fn module(&self) -> String {
        format!("sluice://127.0.0.1:{}/m/", self.port)
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.dir.join("pid")).unwrap().trim().parse().unwrap();
        let _ended =
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        let _reaped = self.strace.wait();
    }
}

#[test]
fn over_a_socket_neither_side_reads_or_writes_them() {
    if !requirement::met(&[Need::Program("strace"), Need::Root]) || !under_test::is_sluice() {
        return;
    }
    let dir = source_in(&std::env::temp_dir());
    let at = dir.path();
    fs::create_dir(at.join("there")).unwrap();
    let daemon = Traced::start(at);
    for [from, to] in [["src/", &daemon.module()], [&daemon.module(), "back/"]] {
        let mut strace = command(OsStr::new("strace"), at);
        strace.args(["-f", "-qq", "-e", CALLS, "-e", "signal=none", "-s", "0", "-o", "trace-here"]);
        strace.arg(under_test::binary()).args(["-a", from, to]);
        finish(strace).expect(0);
        let [here, there] = ["trace-here", "trace-there"].map(|trace| bytes_in(&at.join(trace)));
        assert!(here < ALLOWANCE && there < ALLOWANCE, "{from} to {to}: {here} here, {there} there");
    }
    let [src, there, back] = ["src/big", "there/big", "back/big"].map(|f| fs::read(at.join(f)).unwrap());
    assert!(src == there && src == back, "a copy differs");
}
