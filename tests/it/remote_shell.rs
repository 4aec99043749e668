//! What stands for ssh: a shell script that drops its options and the host, and runs the rest here.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::under_test;

/// As ssh does, it gives its arguments to a shell, joined by spaces.
const SCRIPT: &str = r#"while [ $# -gt 0 ]; do
    case "$1" in
        -l | -p | -o) shift 2 ;;
        -*) shift ;;
        *) break ;;
    esac
done
shift
exec sh -c "$*"
"#;

/// Makes the script `shell` in `dir` and returns the options that have it used, with `program` on the far
/// side.
pub fn options(dir: &Path, program: &std::ffi::OsStr) -> [OsString; 2] {
    let script = dir.join("shell");
    if !script.exists() {
        fs::write(&script, SCRIPT).unwrap();
    }
    let mut rsh = OsString::from("--rsh=sh ");
    rsh.push(&script);
    let mut path = OsString::from("--rsync-path=");
    path.push(program);
    [rsh, path]
}

/// The options for the program under test.
pub fn to_itself(dir: &Path) -> [OsString; 2] {
    options(dir, &under_test::binary())
}
