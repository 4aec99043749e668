//! FLOOR 1. What this process is and may do: its user, capabilities, limits, inherited descriptors.
//!
//! Everything here gives rights away, for good, and says so if it could not.

pub mod background;
pub mod ids;
pub mod inherited;
pub mod rights;
pub mod slots;
