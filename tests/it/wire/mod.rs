//! The protocol as others see it: vectors that never change, and what hostile bytes get.

pub mod probe;

pub mod memory;
mod options;
mod round_trip;
pub mod samples;
mod strategies;
mod vectors;
