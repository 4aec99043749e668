//! Any bytes as the payload of a control frame: a message or an error, never a panic.
#![no_main]

#[allow(dead_code)] // each target uses a part of it
#[path = "../../tests/it/wire/probe.rs"]
mod probe;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| probe::payload(bytes));
