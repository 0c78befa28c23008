//! Between what is generated and what authors see.

use super::{key_value, log, rate_limit, types};
use crate::{Header, HeaderError, key_value::KeyValueError, log::Level, rate_limit::Decision};

impl From<rate_limit::Decision> for Decision {
    fn from(decision: rate_limit::Decision) -> Self {
        Self {
            allowed: decision.allowed,
            limit: decision.limit,
            remaining: decision.remaining,
            retry_after_ms: decision.retry_after_ms,
        }
    }
}

impl From<types::Header> for Header {
    fn from(header: types::Header) -> Self {
        Self {
            name: header.name,
            value: header.value,
        }
    }
}

impl From<Header> for types::Header {
    fn from(header: Header) -> Self {
        Self {
            name: header.name,
            value: header.value,
        }
    }
}

impl From<types::HeaderError> for HeaderError {
    fn from(error: types::HeaderError) -> Self {
        match error {
            types::HeaderError::InvalidName => Self::InvalidName,
            types::HeaderError::InvalidValue => Self::InvalidValue,
            types::HeaderError::Forbidden => Self::Forbidden,
            types::HeaderError::TooLarge => Self::TooLarge,
            types::HeaderError::TooMany => Self::TooMany,
        }
    }
}

impl From<key_value::KvError> for KeyValueError {
    fn from(error: key_value::KvError) -> Self {
        match error {
            key_value::KvError::TooLarge => Self::TooLarge,
            key_value::KvError::Full => Self::Full,
            key_value::KvError::Conflict => Self::Conflict,
        }
    }
}

impl From<Level> for log::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}
