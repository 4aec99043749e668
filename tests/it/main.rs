//! One integration binary, a file per behaviour.

mod chmod;
mod filter;
mod floors;
mod oracle;
