//! Any bytes as what a sender says in a whole session: an end, never a panic, and nothing outside touched.
#![no_main]

#[allow(dead_code)] // each target uses a part of it
#[path = "../../tests/it/session_probe.rs"]
mod session_probe;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| session_probe::receive(bytes));
