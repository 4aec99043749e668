//! The same tests with one of the two sides on another machine. `SLUICE_TEST_WAY` is `push` or `pull`:
//! [`again`](crate::again) sets it, and runs this binary's tests once more.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::OnceLock;

/// The variables: which side is far, what stands before its paths, and options, a line each. Where
/// [`ABSOLUTE`] is set, paths there are absolute.
pub const WAY: &str = "SLUICE_TEST_WAY";
pub const FAR: &str = "SLUICE_TEST_FAR";
pub const OPTIONS: &str = "SLUICE_TEST_FAR_OPTIONS";
pub const ABSOLUTE: &str = "SLUICE_TEST_FAR_ABSOLUTE";

struct Way {
    push: bool,
    far: OsString,
    options: Vec<OsString>,
    absolute: bool,
}

fn way() -> Option<&'static Way> {
    static WAY_OF_ALL: OnceLock<Option<Way>> = OnceLock::new();
    let read = || {
        let push = std::env::var_os(WAY)? == "push";
        let lines = std::env::var_os(OPTIONS).unwrap_or_default();
        let lines = lines.as_bytes().split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let options = lines.map(|line| OsString::from_vec(line.to_vec())).collect();
        let far = std::env::var_os(FAR).unwrap();
        Some(Way { push, far, options, absolute: std::env::var_os(ABSOLUTE).is_some() })
    };
    WAY_OF_ALL.get_or_init(read).as_ref()
}

/// Options that have their value in the next argument.
const WITH_VALUE: &[&str] = &["-f", "-e", "-T", "-B", "-M", "--filter", "--exclude", "--include", "--rsh"];

/// Which arguments are operands: those at the end that are no options and no values of any.
fn operands(args: &[OsString]) -> std::ops::Range<usize> {
    let is_operand = |at: usize| {
        let option = args[at].as_bytes().starts_with(b"-");
        let value = at > 0 && WITH_VALUE.iter().any(|name| args[at - 1] == *name);
        !option && !value
    };
    let first = (0..args.len()).rev().take_while(|at| is_operand(*at)).last();
    first.unwrap_or(args.len())..args.len()
}

/// The arguments of a run in `dir` with the far side where it is to be.
pub fn sent<A: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = A>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    let Some(way) = way() else { return args };
    let all = operands(&args);
    // A single operand is a source.
    let sources = all.start..all.end.saturating_sub(usize::from(all.len() > 1));
    let far = if !way.push {
        sources
    } else if all.len() > 1 {
        sources.end..all.end
    } else {
        0..0
    };
    for arg in &mut args[far] {
        let path = if way.absolute { dir.join(&*arg).into_os_string() } else { arg.clone() };
        *arg = [&*way.far, &path].into_iter().collect();
    }
    way.options.iter().cloned().chain(args).collect()
}

#[test]
fn operands_are_what_is_left_at_the_end() {
    let of = |line: &str| operands(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert_eq!(of("-a src/ dst/"), 1..3);
    assert_eq!(of("-a -f P src/ dst/"), 3..5);
    assert_eq!(of("-a --delete src"), 2..3);
    assert_eq!(of("-a"), 1..1);
}
