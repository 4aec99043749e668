//! Include and exclude rules: first match wins.

/// The filter rules of a run.
#[derive(Clone, Debug, Default)]
pub struct Rules {}
