//! What a client's trailers may be.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use http_body::Frame;

/// RFC 9110 section 6.5.1: what frames, routes or authenticates is no trailer.
pub(crate) fn are_forbidden(trailers: &HeaderMap) -> bool {
    const FORBIDDEN: [HeaderName; 8] = [
        header::AUTHORIZATION,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::COOKIE,
        header::HOST,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    // A quote is the one character of no token that the parser of HTTP/2 lets pass.
    trailers
        .keys()
        .any(|name| FORBIDDEN.contains(name) || name.as_str().contains('"'))
}

/// The same part of a body without trailers that say where the request comes from: a backend that
/// merges them would believe the client.
pub(crate) fn without_claims(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            let claims: Vec<HeaderName> = trailers
                .keys()
                .filter(|name| is_claim(name))
                .cloned()
                .collect();
            for name in claims {
                trailers.remove(name);
            }
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip" | "x-request-id")
}
