//! The bytes of a large file pass through no read or write.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::requirement::{self, Need};
use crate::under_test::{self, command, finish};

const SIZE: usize = 64 << 20;
/// What starting a program, reading directories and printing may cost.
const ALLOWANCE: u64 = 1 << 20;

/// Bytes that all processes of a copy of `src/` to `dst/` moved by reading and writing.
fn bytes_through_user_space(program: &OsStr, dir: &Path) -> u64 {
    let calls = "trace=read,write,pread64,pwrite64,readv,writev,preadv,pwritev,preadv2,pwritev2";
    let mut strace = command(OsStr::new("strace"), dir);
    strace.args(["-f", "-qq", "-e", calls, "-e", "signal=none", "-s", "0", "-o", "trace"]);
    strace.arg(program).args(["-a", "src/", "dst/"]);
    finish(strace).expect(0);
    let trace = fs::read_to_string(dir.join("trace")).unwrap();
    trace.lines().filter_map(|line| line.rsplit_once(" = ")?.1.trim().parse::<u64>().ok()).sum()
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
fn the_count_sees_a_program_that_does_read_and_write() {
    if !requirement::met(&[Need::Program("strace"), Need::Program("rsync")]) {
        return;
    }
    let dir = source_in(&std::env::temp_dir());
    assert!(bytes_through_user_space(OsStr::new("rsync"), dir.path()) > 2 * SIZE as u64);
}
