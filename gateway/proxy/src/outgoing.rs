//! The request as the backend gets it.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header,
    request::Parts,
    uri::{PathAndQuery, Scheme},
};
use route::Protocol;

use crate::{
    authority::Subject, body::RequestBody, connection::Session, error::Reason, forwarded::Origin,
    hop::Hop,
};

/// The id of a request: that of a trusted proxy, else a new one.
pub(crate) fn id_of(headers: &HeaderMap, origin: &Origin) -> HeaderValue {
    let kept = origin.trusted.then(|| headers.get(&X_REQUEST_ID)).flatten();
    kept.filter(|id| !id.is_empty())
        .cloned()
        .unwrap_or_else(|| {
            // Hexadecimal digits are a value.
            HeaderValue::from_bytes(&random_id()).unwrap_or(HeaderValue::from_static("0"))
        })
}

/// The fields that say where the request comes from, and its id.
pub(crate) fn forwarded(
    session: &Session,
    head: &mut Parts,
    subject: &Subject,
    origin: &Origin,
    id: HeaderValue,
) {
    session
        .peer
        .write(origin, &subject.field, subject.port, &mut head.headers);
    head.headers.insert(X_REQUEST_ID, id);
}

/// 128 random bits in hexadecimal, as nginx makes them.
fn random_id() -> [u8; 32] {
    let mut digits = [0; 32];
    let bits = fastrand::u128(..).to_le_bytes();
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bits) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    digits
}

fn digit(value: u8) -> u8 {
    value + if value < 10 { b'0' } else { b'a' - 10 }
}

/// The target in the form that the backend's protocol wants, with the normal path.
pub(crate) fn target(
    head: &mut Parts,
    subject: &Subject,
    protocol: Protocol,
    hop: &Hop,
    expects: bool,
) -> Result<(), Reason> {
    // The gateway has answered it, or passes the backend's 100 on.
    if expects {
        head.headers.remove(header::EXPECT);
    }
    let own = head.uri.path_and_query();
    let path_and_query = match (subject.rewritten(), own) {
        // Of `#x` the parser of HTTP/2 leaves nothing, says `/`, and would write nothing.
        (None, Some(own)) if own.as_str() == "/" => PathAndQuery::from_static("/"),
        (None, Some(own)) => own.clone(),
        (rewritten, own) => {
            let path = rewritten.unwrap_or("/");
            let text = match own.and_then(PathAndQuery::query) {
                Some(query) => format!("{path}?{query}"),
                None => path.to_owned(),
            };
            PathAndQuery::try_from(text)
                .map_err(|_| Reason::BadRequest("has a target that is none"))?
        }
    };
    let scheme = match protocol {
        Protocol::Http | Protocol::Https => {
            if head.version == Version::HTTP_2 {
                join_cookies(head);
            }
            head.uri = Uri::from(path_and_query);
            head.version = Version::HTTP_11;
            // Else it is what it says already.
            if !head.headers.contains_key(header::HOST) {
                head.headers.insert(header::HOST, subject.field.clone());
            }
            return Ok(());
        }
        Protocol::Grpc | Protocol::H2c => Scheme::HTTP,
        Protocol::Grpcs => Scheme::HTTPS,
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(subject.field.as_bytes())
        .path_and_query(path_and_query);
    head.uri = uri
        .build()
        .map_err(|_| Reason::BadRequest("has a host that is none"))?;
    head.version = Version::HTTP_2;
    head.headers.remove(header::HOST);
    if hop.trailers {
        head.headers
            .insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(())
}

/// RFC 9113 section 8.2.3: HTTP/2 may split a cookie field, HTTP/1.1 may not.
fn join_cookies(head: &mut Parts) {
    let mut cookies = head.headers.get_all(header::COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let parts: Vec<&[u8]> = head
        .headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
        head.headers.insert(header::COOKIE, joined);
    }
}

/// How the body is delimited. Hyper drops the body of a GET of unknown length unless it is told.
pub(crate) fn frame(head: &mut Parts, body: &RequestBody, protocol: Protocol) {
    let http1 = matches!(protocol, Protocol::Http | Protocol::Https);
    let unknown = matches!(body, RequestBody::Client(_))
        && !head.headers.contains_key(header::CONTENT_LENGTH);
    if http1 && unknown {
        head.headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
    if matches!(body, RequestBody::Whole(_)) {
        return;
    }
    if matches!(body, RequestBody::Empty)
        && head.method != Method::POST
        && head.method != Method::PUT
    {
        return;
    }
    if matches!(body, RequestBody::Empty) && !head.headers.contains_key(header::CONTENT_LENGTH) {
        head.headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
