//! `--chmod`: symbolic and octal modes with rsync's `D` and `F` prefixes.

/// One comma-separated part of `--chmod`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {}
