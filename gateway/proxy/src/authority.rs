//! What a request says it is for, checked once for both protocols.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderValue, Method, Uri, Version, header, request::Parts, uri::PathAndQuery,
};
use hyper::ext::Protocol;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use route::{Authority, normalise};

use crate::{content_length, error::Reason};

/// What a request is for.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The host in lower case, without port; empty where HTTP/1.0 names none.
    pub(crate) host: String,
    /// The port that the client wrote.
    pub(crate) port: Option<u16>,
    /// The field `Host` as it is forwarded.
    pub(crate) field: HeaderValue,
    /// The normal form of the path, where the client wrote another one.
    normal: Option<String>,
    /// How many bytes of body the head declares.
    pub(crate) declared: Option<u64>,
    /// Whether this is `OPTIONS *`, which is about the gateway itself.
    pub(crate) asterisk: bool,
    /// The protocol of an extended CONNECT (RFC 8441).
    pub(crate) connect: Option<Protocol>,
}

impl Subject {
    /// Reads a request's head. HTTP/1 heads have passed the guard; those of HTTP/2 have passed the
    /// parser only, and what becomes HTTP/1 of them must not depend on how it is read there.
    pub(crate) fn read(head: &Parts) -> Result<Self, Reason> {
        let connect = head.extensions.get::<Protocol>().cloned();
        if head.method == Method::CONNECT && connect.is_none() {
            return Err(Reason::BadRequest(
                "is a CONNECT, which this gateway does not serve",
            ));
        }
        if head.version == Version::HTTP_2 {
            check_http2(&head.headers)?;
            let scheme = head.uri.scheme_str().unwrap_or("https");
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Err(Reason::BadRequest(
                    "has a :scheme that is neither http nor https",
                ));
            }
        }
        let field = field(head)?;
        let text = field.to_str().map_err(|_| NO_HOST)?;
        let (host, port) = if text.is_empty() {
            (String::new(), None)
        } else {
            let authority = Authority::parse(text).map_err(|_| NO_HOST)?;
            (authority.host().to_ascii_lowercase(), authority.port())
        };
        let asterisk = head.method == Method::OPTIONS && head.uri.path() == "*";
        let normal = if asterisk {
            None
        } else {
            normal(&head.uri, head.version)?
        };
        if head
            .uri
            .query()
            .is_some_and(|query| query.bytes().any(|b| b <= b' ' || b == 0x7f))
        {
            return Err(Reason::BadRequest(
                "has a query with a character that must be encoded",
            ));
        }
        Ok(Self {
            host,
            port,
            field,
            normal,
            declared: declared(&head.headers)?,
            asterisk,
            connect,
        })
    }

    /// The path in the one form that is matched and forwarded.
    pub(crate) fn path<'a>(&'a self, head: &'a Parts) -> &'a str {
        self.normal.as_deref().unwrap_or_else(|| head.uri.path())
    }

    /// Writes the normal form of the path into the head, for filters: what they see is what is sent.
    pub(crate) fn write_path(&mut self, head: &mut Parts) {
        let Some(path) = &self.normal else {
            return;
        };
        let target = match head.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.clone(),
        };
        let mut parts = head.uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(target).ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            head.uri = uri;
            self.normal = None;
        }
    }

    /// The normal form of the path, where it is not the one of the request.
    pub(crate) fn rewritten(&self) -> Option<&str> {
        self.normal.as_deref()
    }
}

/// Has the query of a target be what RFC 3986 allows: clients that write other letters into it as they
/// are mean their percent-encoding.
pub(crate) fn encode_query(head: &mut Parts) {
    let Some(target) = head.uri.path_and_query().map(PathAndQuery::as_str) else {
        return;
    };
    let Some((path, query)) = target.split_once('?').filter(|_| !target.is_ascii()) else {
        return;
    };
    let encoded = format!("{path}?{}", utf8_percent_encode(query, NON_ASCII));
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(encoded).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        head.uri = uri;
    }
}

/// The path's normal form, where it differs from the path.
fn normal(uri: &Uri, version: Version) -> Result<Option<String>, Reason> {
    let path = uri.path();
    match uri.path_and_query().map(PathAndQuery::as_str) {
        None => return Ok(Some("/".to_owned())),
        // An absolute URL may leave its path out; the path of HTTP/2 may not be (RFC 9113 section 8.3.1).
        Some(target) if target.starts_with('?') && version != Version::HTTP_2 => {
            return Ok(Some("/".to_owned()));
        }
        Some(target) if !target.starts_with('/') => {
            return Err(Reason::BadRequest(
                "has a path that does not begin with '/'",
            ));
        }
        Some(_) => {}
    }
    match normalise(path) {
        Ok(Cow::Borrowed(_)) => Ok(None),
        Ok(Cow::Owned(normal)) => Ok(Some(normal)),
        Err(error) => Err(Reason::BadRequest(bad_path(error))),
    }
}

/// The value of `Host`, which must agree with the authority of the target.
fn field(request: &Parts) -> Result<HeaderValue, Reason> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(Reason::BadRequest("has more than one Host"));
    }
    match (request.uri.authority(), host) {
        (Some(authority), None) if request.version == Version::HTTP_2 => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| NO_HOST)
        }
        (Some(authority), Some(host))
            if !authority
                .as_str()
                .as_bytes()
                .eq_ignore_ascii_case(host.as_bytes()) =>
        {
            Err(Reason::BadRequest(
                "names another host in its target than in Host",
            ))
        }
        (_, Some(host)) if !host.is_empty() => Ok(host.clone()),
        (None, None) if request.version == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        _ => Err(NO_HOST),
    }
}

fn declared(headers: &HeaderMap) -> Result<Option<u64>, Reason> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        return Ok(None);
    };
    match (content_length::parse(length.as_bytes()), lengths.next()) {
        (Some(value), None) => Ok(Some(value)),
        _ => Err(Reason::BadRequest("has a bad Content-Length")),
    }
}

/// RFC 9113 section 8.2: fields that HTTP/2 does not have, and values that HTTP/1 would read anew.
fn check_http2(headers: &HeaderMap) -> Result<(), Reason> {
    for (name, value) in headers {
        let bytes = value.as_bytes();
        // Of what is no token the parser lets a quote pass.
        if name.as_str().contains('"') {
            return Err(Reason::BadRequest("has a field name that is no token"));
        }
        let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
        if blank(bytes.first()) || blank(bytes.last()) {
            return Err(Reason::BadRequest(
                "has a field value that begins or ends with a blank",
            ));
        }
        if bytes.iter().any(|&b| b != b'\t' && (b < 0x20 || b == 0x7f)) {
            return Err(Reason::BadRequest(
                "has a control character in a field value",
            ));
        }
        if [
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
        ]
        .contains(name)
        {
            return Err(Reason::BadRequest("has a field that HTTP/2 does not have"));
        }
    }
    Ok(())
}

fn bad_path(error: route::PathError) -> &'static str {
    match error {
        route::PathError::Backslash => "has a path with a backslash",
        route::PathError::Climbs => "has a path that climbs above the root",
        route::PathError::Control => "has a path with a character that must be encoded",
        route::PathError::Nul => "has a path with %00",
        route::PathError::Parameter => "has a path with a dot segment that has a parameter",
        route::PathError::Percent => "has a path with a broken percent-encoding",
        route::PathError::Relative => "has a path that does not begin with '/'",
    }
}

/// All that is not ASCII is encoded in any case.
const NON_ASCII: &AsciiSet = &AsciiSet::EMPTY;
const NO_HOST: Reason = Reason::BadRequest("has a host that is none");
