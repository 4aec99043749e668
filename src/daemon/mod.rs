//! FLOOR 5. The daemon: what stands between a TCP connection and a process that may touch one directory.
//!
//! 1. [`config`] reads `sluiced.conf` (the syntax and names of rsyncd.conf(5)) into typed values, once.

pub mod access;
pub mod config;
pub mod confine;
pub mod refuse;
pub mod secrets;
pub mod users;
