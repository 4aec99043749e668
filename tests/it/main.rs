//! One integration binary, a file per behaviour.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

/// The same cases, functions of a `&Place`, for one rung.
macro_rules! cases {
    ($rung:ident, $place:expr, [$($case:ident),* $(,)?]) => {
        mod $rung {
            use super::*;
            $(#[test]
            fn $case() {
                let Some(place) = $place else { return };
                super::$case(&place);
            })*
        }
    };
}

mod copy;
mod digest;
mod floors;
mod scratch_fs;
mod sparse;
