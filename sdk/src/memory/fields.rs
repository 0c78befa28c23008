//! Which fields a filter may change, and to what.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, uri::PathAndQuery};

use crate::{HeaderError, LocalResponse};

/// Whose field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    Response,
}

/// What is done to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Set,
    Add,
    Remove,
}

/// The name of a field that a filter may change so.
pub(crate) fn name(
    message: Message,
    change: Change,
    name: &str,
) -> Result<HeaderName, HeaderError> {
    if name.starts_with(':') {
        return Err(HeaderError::Forbidden);
    }
    if name.len() > NAME {
        return Err(HeaderError::TooLarge);
    }
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::InvalidName)?;
    let cookie = message == Message::Response && name == header::SET_COOKIE;
    if is_ours(name.as_str()) || (cookie && change != Change::Add) {
        return Err(HeaderError::Forbidden);
    }
    Ok(name)
}

/// A value that a field may have, without the blanks around it.
pub(crate) fn value(value: &[u8]) -> Result<HeaderValue, HeaderError> {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    if value.len() > TOTAL {
        return Err(HeaderError::TooLarge);
    }
    HeaderValue::from_bytes(value).map_err(|_| HeaderError::InvalidValue)
}

/// A status that ends an exchange.
pub(crate) fn status(status: u16) -> Result<StatusCode, HeaderError> {
    match status {
        200..=599 => StatusCode::from_u16(status).map_err(|_| HeaderError::InvalidValue),
        _ => Err(HeaderError::InvalidValue),
    }
}

/// Path and query that a request may get.
pub(crate) fn path(path: &str) -> Result<PathAndQuery, HeaderError> {
    if path.len() > PATH {
        return Err(HeaderError::TooLarge);
    }
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut normal = normalise(path).ok_or(HeaderError::InvalidName)?;
    let broken = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'#';
    if let Some(query) = query {
        if query.bytes().any(broken) {
            return Err(HeaderError::InvalidName);
        }
        normal.push('?');
        normal.push_str(query);
    }
    PathAndQuery::try_from(normal).map_err(|_| HeaderError::InvalidName)
}

/// The normal form of a path; none where a request cannot have it. What needs no percent-encoding is
/// decoded; the case of other encodings stays.
fn normalise(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.starts_with("//") {
        return None;
    }
    let mut normal = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        match next {
            '%' => {
                let code = rest.get(1..3)?;
                let hexadecimal = code.bytes().all(|byte| byte.is_ascii_hexdigit());
                let byte = u8::from_str_radix(code, 16).ok().filter(|_| hexadecimal)?;
                match byte {
                    0 => return None,
                    b'-' | b'.' | b'_' | b'~' => normal.push(char::from(byte)),
                    _ if byte.is_ascii_alphanumeric() => normal.push(char::from(byte)),
                    _ => normal.push_str(rest.get(..3)?),
                }
                rest = rest.get(3..)?;
            }
            '!'..='~' if !matches!(next, '\\' | '#') => {
                normal.push(next);
                rest = rest.get(1..)?;
            }
            _ => return None,
        }
    }
    let dots = normal.split('/').any(|part| matches!(part, "." | ".."));
    (!dots).then_some(normal)
}

/// What one hook has set so far.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    fields: usize,
    bytes: usize,
}

impl Spent {
    /// Before a field is set.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), HeaderError> {
        let bytes = self.bytes.saturating_add(bytes);
        if bytes > TOTAL {
            return Err(HeaderError::TooLarge);
        }
        if self.fields == FIELDS {
            return Err(HeaderError::TooMany);
        }
        self.fields += 1;
        self.bytes = bytes;
        Ok(())
    }
}

/// A filter's own answer as it is sent: under the same rules as any other field that it sets.
pub(crate) fn local(answer: &LocalResponse) -> Result<http::Response<()>, String> {
    let refuse = |what: &str, why: HeaderError| format!("its answer cannot be sent: {what}: {why}");
    if answer.body.len() > BODY {
        return Err(refuse("the body", HeaderError::TooLarge));
    }
    let status = status(answer.status).map_err(|why| refuse("the status", why))?;
    let (mut fields, mut spent) = (HeaderMap::new(), Spent::default());
    for header in &answer.headers {
        let checked = name(Message::Response, Change::Add, &header.name).and_then(|name| {
            let value = value(&header.value)?;
            spent.charge(name.as_str().len() + value.len())?;
            Ok((name, value))
        });
        let (name, value) = checked.map_err(|why| refuse("a field", why))?;
        fields.append(name, value);
    }
    let mut response = http::Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Ok(response)
}

/// Fields that say where a message ends, whose connection it is on, or who sent it.
fn is_ours(name: &str) -> bool {
    let ours = matches!(
        name,
        "connection"
            | "content-length"
            | "forwarded"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "te"
            | "traceparent"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "x-real-ip"
            | "x-request-id"
    );
    ours || name.starts_with("proxy-") || name.starts_with("x-forwarded-")
}

/// The longest name.
const NAME: usize = 1 << 10;
/// The longest path with its query.
const PATH: usize = 8 << 10;
/// How many fields one hook may set.
const FIELDS: usize = 64;
/// How many bytes the fields may have that one hook sets.
const TOTAL: usize = 32 << 10;
/// The largest body of an answer made by a filter.
const BODY: usize = 1 << 20;
