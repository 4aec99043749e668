//! A deadline as it travels to a peer: the time left, since clocks of two machines have nothing in common.

use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds and nanoseconds left now; 0 if it has passed.
pub fn serialize<S: Serializer>(deadline: &Option<Instant>, to: S) -> Result<S::Ok, S::Error> {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    left.serialize(to)
}

/// The deadline on this machine's clock; one that lies beyond what the clock can tell is none.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Instant>, D::Error> {
    let left = Option::<Duration>::deserialize(from)?;
    Ok(left.and_then(|left| Instant::now().checked_add(left)))
}
