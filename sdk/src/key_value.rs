//! Values in the memory of one gateway process, shared by all instances of the plugin in one namespace.
//! Bounded by the grant: `keyValue: {maxBytes: 1Mi}`.

use std::{error::Error, fmt, time::Duration};

use crate::sys;

/// Why a value was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValueError {
    /// A key of more than 1 KiB, or a value of more than 64 KiB.
    TooLarge,
    /// All of the granted memory is in use.
    Full,
    /// What is there is not a number, or would no longer be one.
    Conflict,
}

impl fmt::Display for KeyValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "a key has at most 1 KiB, a value 64 KiB",
            Self::Full => "all of the granted memory is in use",
            Self::Conflict => "what is there is not a number, or would no longer be one",
        })
    }
}

impl Error for KeyValueError {}

/// The value of a key.
pub fn get(key: &str) -> Option<Vec<u8>> {
    sys::kv_get(key)
}

/// Sets it, for so long or for as long as the process lives.
pub fn set(
    key: &str,
    value: impl AsRef<[u8]>,
    lifetime: Option<Duration>,
) -> Result<(), KeyValueError> {
    sys::kv_set(key, value.as_ref(), lifetime.map(milliseconds))
}

/// Removes it.
pub fn delete(key: &str) {
    sys::kv_delete(key);
}

/// Adds to a number, written in decimal; one that is not there is 0, and only then its lifetime begins.
/// The result is the sum.
pub fn increment(key: &str, delta: i64, lifetime: Option<Duration>) -> Result<i64, KeyValueError> {
    sys::kv_increment(key, delta, lifetime.map(milliseconds))
}

/// At most 49 days: longer than that is as long as the gateway counts.
fn milliseconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX)
}
