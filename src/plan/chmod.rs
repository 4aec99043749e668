//! shim until merged
/// One comma-separated part of `--chmod`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {}
/// x
pub fn apply(_: &[Rule], mode: u32, _: bool, _: u32) -> u32 { mode }
