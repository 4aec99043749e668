//! One integration binary, a file per behaviour.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests look at trees from outside, and may fail loudly

mod chmod;
mod filter;
mod floors;
mod oracle;
