//! Any bytes as a whole connection: hello, frames, messages, listings put together.
#![no_main]

#[allow(dead_code)] // each target uses a part of it
#[path = "../../tests/it/wire/probe.rs"]
mod probe;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| probe::stream(bytes));
