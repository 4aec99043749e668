//! FLOOR 5. The daemon: what stands between a TCP connection and a process that may touch one directory.
//!
//! 1. [`config`] reads the configuration (the syntax and names of rsyncd.conf(5)) into typed values, once.
//! 2. [`listener`] accepts connections, within [`limits`], and starts a process for each.
//! 3. [`connection`] is the life of that process: [`access`] looks at the address, [`users`] and [`secrets`]
//!    at the user and the password (the exchange itself is [`crate::auth`]), [`confine`] gives up every
//!    right but those to the module's directory.
//! 4. [`conversation`] is where the protocol comes in: it is asked what the client wants, and at last to serve
//!    the module, by [`conversation::Conversation::serve`].

pub mod access;
pub mod config;
pub mod confine;
pub mod connection;
pub mod conversation;
pub mod limits;
pub mod listener;
pub mod log;
pub mod refuse;
pub mod secrets;
pub mod users;
