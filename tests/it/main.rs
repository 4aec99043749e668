//! One integration binary, a file per behaviour.

mod chmod;
mod completion;
mod filter;
mod floors;
mod generated;
mod options;
mod oracle;
