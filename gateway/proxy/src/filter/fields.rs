//! Which fields of a message a filter may change, and to what: one rule for requests, responses and
//! whole answers.

use http::{HeaderName, HeaderValue, header};

/// Why a field, a path or a status was not accepted. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not a name that a field can have, or not a path.
    #[error("invalid name")]
    InvalidName,
    /// Not a value that a field can have, or not a status.
    #[error("invalid value")]
    InvalidValue,
    /// The gateway's own.
    #[error("the field is the gateway's own")]
    Forbidden,
    /// Larger than a filter may set.
    #[error("too large")]
    TooLarge,
    /// More than a filter may set.
    #[error("too many")]
    TooMany,
}

/// Whose field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// What is done to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It gets this one value.
    Set,
    /// It gets one value more.
    Add,
    /// It goes.
    Remove,
}

/// The name of a field that a filter may change so.
pub fn name(message: Message, change: Change, name: &str) -> Result<HeaderName, FieldError> {
    if name.starts_with(':') {
        return Err(FieldError::Forbidden);
    }
    if name.len() > NAME {
        return Err(FieldError::TooLarge);
    }
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldError::InvalidName)?;
    let add_only =
        message == Message::Response && change != Change::Add && name == header::SET_COOKIE;
    if add_only || is_ours(&name) {
        return Err(FieldError::Forbidden);
    }
    Ok(name)
}

/// A value that a field may have. Blanks around it mean nothing, and HTTP/2 does not allow them.
pub fn value(value: &[u8]) -> Result<HeaderValue, FieldError> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().take_while(|byte| blank(byte)).count();
    let end = value.iter().rev().take_while(|byte| blank(byte)).count();
    let trimmed = value
        .get(start..value.len().saturating_sub(end))
        .unwrap_or_default();
    if trimmed.len() > TOTAL {
        return Err(FieldError::TooLarge);
    }
    HeaderValue::from_bytes(trimmed).map_err(|_| FieldError::InvalidValue)
}

/// Path and query that a request may get: the normal form, which is what routes are matched against.
pub(super) fn path(path: &str) -> Result<http::uri::PathAndQuery, FieldError> {
    if path.len() > PATH {
        return Err(FieldError::TooLarge);
    }
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    // `//host/…` is another host to many who read it.
    if path.starts_with("//") {
        return Err(FieldError::InvalidName);
    }
    let dots = path.split('/').any(|segment| {
        let segment = segment.replace("%2e", ".").replace("%2E", ".");
        segment == "." || segment == ".."
    });
    let normal = route::normalise(path).map_err(|_| FieldError::InvalidName)?;
    let controls = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'#';
    if dots || query.is_some_and(|query| query.bytes().any(controls)) {
        return Err(FieldError::InvalidName);
    }
    let whole = query.map_or_else(|| normal.to_string(), |query| format!("{normal}?{query}"));
    http::uri::PathAndQuery::try_from(whole).map_err(|_| FieldError::InvalidName)
}

/// What one hook has set so far.
#[derive(Debug, Default)]
pub struct Spent {
    fields: usize,
    bytes: usize,
}

impl Spent {
    /// Before a field is set.
    pub fn charge(&mut self, bytes: usize) -> Result<(), FieldError> {
        let bytes = self.bytes.saturating_add(bytes);
        if bytes > TOTAL {
            return Err(FieldError::TooLarge);
        }
        if self.fields == FIELDS {
            return Err(FieldError::TooMany);
        }
        self.fields += 1;
        self.bytes = bytes;
        Ok(())
    }
}

/// Fields that say where a message ends, whose connection it is on, or who sent it.
fn is_ours(name: &HeaderName) -> bool {
    let text = name.as_str();
    OURS.contains(&text) || text.starts_with("proxy-") || text.starts_with("x-forwarded-")
}

const OURS: [&str; 13] = [
    "connection",
    "content-length",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-real-ip",
    "x-request-id",
];

/// The longest name.
const NAME: usize = 1 << 10;
/// The longest path with its query.
const PATH: usize = 8 << 10;
/// How many fields one hook may set.
const FIELDS: usize = 64;
/// How many bytes the fields may have that one hook sets.
const TOTAL: usize = 32 << 10;

#[cfg(test)]
mod tests;
