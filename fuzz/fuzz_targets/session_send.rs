//! Any bytes as what a receiver says in a whole session: an end, never a panic, and the source as it was.
#![no_main]

#[allow(dead_code)] // each target uses a part of it
#[path = "../../tests/it/session_probe.rs"]
mod session_probe;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| session_probe::send(bytes));
