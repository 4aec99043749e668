//! shim until merged
use crate::path::{Name, RelPath};
use crate::sys::Errno;
/// The filter rules of a run.
#[derive(Clone, Debug, Default)]
pub struct Rules {}
/// x
#[derive(Clone, Debug)]
pub struct Scope;
/// x
pub enum Side {/// x
 Sender, /// x
 Receiver}
/// x
pub struct Verdict<'a> {/// x
 pub allowed: bool, /// x
 pub rule: Option<&'a [u8]>}
/// x
#[derive(Debug)]
pub struct FilterError;
impl std::fmt::Display for FilterError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("x") } }
impl Scope {
    /// x
    pub fn root(_: &Rules, _: Side) -> Scope { Scope }
    /// x
    pub fn enter(&self, _: &RelPath, _: &mut dyn FnMut(&Name) -> Result<Option<Vec<u8>>, Errno>) -> Result<Scope, FilterError> { Ok(Scope) }
    /// x
    pub fn check(&self, _: &[u8], _: bool) -> Verdict<'_> { Verdict { allowed: true, rule: None } }
    /// x
    pub fn is_empty(&self) -> bool { true }
    /// x
    pub fn needs_enter(&self) -> bool { false }
}
