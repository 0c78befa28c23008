//! What requests and responses have in common.

use std::{error::Error, fmt};

/// One field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name; in lower case where the gateway gives it.
    pub name: String,
    /// The value. Bytes on purpose: it may hold 0x80 to 0xff, in no known encoding.
    pub value: Vec<u8>,
}

impl Header {
    /// A field.
    pub fn new(name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.into(),
            value: value.as_ref().to_vec(),
        }
    }
}

/// Why the gateway did not accept what a filter wanted to set. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The name is not a token of RFC 9110, or the path is not one that a request can have.
    InvalidName,
    /// The value holds CR, LF, NUL or another control character; the status is not 200 to 599.
    InvalidValue,
    /// The field is the gateway's own: those that say where a message ends, whose connection it is on or
    /// who sent it. `set-cookie` of a response can only be added.
    Forbidden,
    /// The name, the value, or all that one hook sets together, is too large.
    TooLarge,
    /// One hook sets at most 64 fields.
    TooMany,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidName => "this is no name of a field, or no path",
            Self::InvalidValue => "this is no value of a field, or no status",
            Self::Forbidden => "the field is the gateway's own",
            Self::TooLarge => "this is larger than a filter may set",
            Self::TooMany => "a hook sets at most 64 fields",
        })
    }
}

impl Error for HeaderError {}

/// Why a request is not sent elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RerouteError {
    /// The plugin's grant `backends` does not name it.
    NotGranted,
    /// The Ingress's namespace has no such Service, or the Service no such port.
    NoSuchBackend,
}

impl fmt::Display for RerouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGranted => "the plugin's grant `backends` does not name it",
            Self::NoSuchBackend => "there is no such Service, or it has no such port",
        })
    }
}

impl Error for RerouteError {}
