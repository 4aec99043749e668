//! One integration binary, a file per behaviour.

mod floors;
mod report;
mod report_oracle;
