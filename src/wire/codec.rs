//! From messages to payloads and back: postcard's encoding, and what is checked around it.
//!
//! A message is its number (a varint) and its fields, without names. Decoding must use up the payload; it
//! allocates no more than a small multiple of the payload's length, because a length in a payload is never
//! believed before as many elements have arrived.

use std::fmt;
use std::marker::PhantomData;

use postcard::ser_flavors::Flavor;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::error::WireError;
use super::frame::CONTROL_MAX;
use super::request::REQUEST_MAX;

/// A field and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// Which field, as in `entries[3].link`.
    pub field: String,
    /// Why.
    pub cause: String,
}

impl Flaw {
    pub(super) fn new(field: &str, cause: &str) -> Flaw {
        Flaw { field: field.into(), cause: cause.into() }
    }
}

/// A flaw unless `holds`.
pub(super) fn require(holds: bool, field: &str, cause: &str) -> Result<(), Flaw> {
    if holds { Ok(()) } else { Err(Flaw::new(field, cause)) }
}

/// The messages of one direction in one phase.
pub trait Message: Serialize + DeserializeOwned {
    /// Whom they are for.
    const TO: &'static str;
    /// Their names, by number.
    const NAMES: &'static [&'static str];

    /// Checks what the types of the fields do not say.
    ///
    /// # Errors
    ///
    /// The first field that says what is not allowed.
    fn check(&self) -> Result<(), Flaw>;

    /// Appends the payload to `out`.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`]: it is longer than a control frame may be; `out` is as it was. Whoever sends
    /// lists sends them in parts ([`parts`], [`super::Listing::parts`], [`super::to_receiver::Roots::parts`],
    /// [`super::Request::into_messages`]).
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let start = out.len();
        let written = postcard::serialize_with_flavor(self, Payload { out, start });
        written.map_err(|_| {
            let number = out.get(start).copied().unwrap_or_default();
            out.truncate(start);
            WireError::TooLong { message: Self::name(u32::from(number)), max: CONTROL_MAX }
        })
    }

    /// Reads a payload that is one message.
    ///
    /// # Errors
    ///
    /// [`WireError::UnknownMessage`], [`WireError::Malformed`], [`WireError::NotAllowed`]: the session ends.
    fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let (message, rest) = Self::decode_next(payload)?;
        if rest.is_empty() {
            return Ok(message);
        }
        let number = postcard::take_from_bytes::<u32>(payload).map_or(0, |(number, _)| number);
        let at = payload.len() - rest.len();
        Err(WireError::Malformed { message: Self::name(number), at, cause: GOES_ON })
    }

    /// Reads the first message of a payload; returns it with what is left.
    ///
    /// # Errors
    ///
    /// As [`Message::decode`].
    fn decode_next(payload: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let number = match postcard::take_from_bytes::<u32>(payload) {
            Ok((number, _)) if (number as usize) < Self::NAMES.len() => number,
            Ok((number, _)) => return Err(WireError::UnknownMessage { to: Self::TO, number }),
            Err(e) => return Err(WireError::Malformed { message: Self::TO, at: 0, cause: cause(&e) }),
        };
        let message = Self::name(number);
        let (decoded, rest): (Self, _) = decode_some(message, payload)?;
        decoded.check().map_err(|Flaw { field, cause }| WireError::NotAllowed { message, field, cause })?;
        Ok((decoded, rest))
    }

    /// The name of message `number`.
    #[must_use]
    fn name(number: u32) -> &'static str {
        Self::NAMES.get(number as usize).copied().unwrap_or("message")
    }
}

/// Encodes a value that travels inside of messages, such as a session's options.
///
/// # Errors
///
/// [`WireError::TooLong`] with `name`: longer than any request may be.
pub fn encode_value<T: Serialize>(name: &'static str, value: &T) -> Result<Vec<u8>, WireError> {
    let encoded = postcard::to_allocvec(value).ok().filter(|bytes| bytes.len() <= REQUEST_MAX);
    encoded.ok_or(WireError::TooLong { message: name, max: REQUEST_MAX })
}

/// Reads what [`encode_value`] made; `name` is what it is called in errors.
///
/// # Errors
///
/// [`WireError::Malformed`]: it does not decode, or does not end where the bytes do.
pub fn decode_value<T: DeserializeOwned>(name: &'static str, bytes: &[u8]) -> Result<T, WireError> {
    let (decoded, rest) = decode_some(name, bytes)?;
    if rest.is_empty() {
        return Ok(decoded);
    }
    Err(WireError::Malformed { message: name, at: bytes.len() - rest.len(), cause: GOES_ON })
}

const GOES_ON: &str = "it ends here, and the bytes go on";

fn decode_some<'b, T: DeserializeOwned>(
    name: &'static str,
    bytes: &'b [u8],
) -> Result<(T, &'b [u8]), WireError> {
    let mut decoder = postcard::Deserializer::from_bytes(bytes);
    let decoded = T::deserialize(&mut decoder);
    let rest = decoder.finalize().unwrap_or_default();
    let at = bytes.len() - rest.len();
    let decoded = decoded.map_err(|e| WireError::Malformed { message: name, at, cause: cause(&e) })?;
    Ok((decoded, rest))
}

/// The figures of a peer: whatever they are, they can be shown.
pub(super) fn figures(stats: &crate::event::Stats) -> Result<(), Flaw> {
    let seconds = stats.list_seconds;
    require(seconds.is_finite() && seconds >= 0.0, "stats.list_seconds", "no span of time")
}

/// Where a list is cut, in bytes: half a frame, so that whatever stands beside it fits.
pub(super) const PART_BYTES: usize = CONTROL_MAX / 2;

/// Cuts a list into parts that fit into a message each, of at most `max` elements; none for an empty list.
/// An element that fits nowhere is alone in its part.
#[must_use]
pub fn parts<T: Serialize>(list: Vec<T>, max: usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for element in list {
        let len = encoded_len(&element);
        match parts.last_mut() {
            Some(part) if part.len() < max && bytes + len <= PART_BYTES => {
                bytes += len;
                part.push(element);
            }
            _ => {
                bytes = len;
                parts.push(vec![element]);
            }
        }
    }
    parts
}

/// How many bytes of a payload `value` takes; for cutting a list into parts.
#[must_use]
pub fn encoded_len<T: Serialize + ?Sized>(value: &T) -> usize {
    // What cannot be encoded fits nowhere; no type of this protocol is such.
    postcard::experimental::serialized_size(value).unwrap_or(usize::MAX)
}

fn cause(error: &postcard::Error) -> &'static str {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => "the payload ends too early",
        postcard::Error::DeserializeBadVarint => "a number is longer than its type allows",
        postcard::Error::DeserializeBadBool => "a yes or no is neither 0 nor 1",
        postcard::Error::DeserializeBadOption => "an optional field begins with neither 0 nor 1",
        postcard::Error::DeserializeBadUtf8 => "a text is not UTF-8",
        postcard::Error::DeserializeBadEnum => "a choice that does not exist",
        _ => "a name, number or count that is not allowed",
    }
}

/// The end of a buffer, up to the greatest payload.
struct Payload<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl Flavor for Payload<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if self.out.len() - self.start + bytes.len() > CONTROL_MAX {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Reads a list of at most `MAX` elements; for `#[serde(deserialize_with)]`.
pub(super) fn list<'de, D, T, const MAX: usize>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Elements<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            // Room for all that is claimed would be room for what may never come.
            let mut list = Vec::with_capacity(elements.size_hint().unwrap_or(0).min(64));
            while let Some(element) = elements.next_element()? {
                if list.len() == MAX {
                    return Err(serde::de::Error::invalid_length(MAX + 1, &self));
                }
                list.push(element);
            }
            Ok(list)
        }
    }

    from.deserialize_seq(Elements::<T, MAX>(PhantomData))
}
