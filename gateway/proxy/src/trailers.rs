//! What trailers may be.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Frame;

/// RFC 9110 section 6.5.1: what frames, routes, authenticates or belongs to one connection is no
/// trailer.
pub(crate) const FORBIDDEN: [&str; 20] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a client must not send these.
pub(crate) fn are_forbidden(trailers: &HeaderMap) -> bool {
    // A quote is the one character of no token that the parser of HTTP/2 lets pass.
    trailers
        .keys()
        .any(|name| is_forbidden(name) || name.as_str().contains('"'))
}

fn is_forbidden(name: &HeaderName) -> bool {
    FORBIDDEN.contains(&name.as_str())
}

/// The same part of a backend's body without trailers that are none: they would be broken HTTP/2.
pub(crate) fn without_forbidden(frame: Frame<Bytes>) -> Frame<Bytes> {
    without(frame, is_forbidden)
}

/// The same part of a body without trailers that say where the request comes from: a backend that
/// merges them would believe the client.
pub(crate) fn without_claims(frame: Frame<Bytes>) -> Frame<Bytes> {
    without(frame, |name| is_claim(&name.as_str().replace('_', "-")))
}

/// The same part of a body without trailers.
pub(crate) fn without_any(frame: Frame<Bytes>) -> Frame<Bytes> {
    without(frame, |_| true)
}

fn without(frame: Frame<Bytes>, goes: impl Fn(&HeaderName) -> bool) -> Frame<Bytes> {
    if frame.is_data() {
        return frame;
    }
    match frame.into_trailers() {
        Ok(mut trailers) => {
            let gone: Vec<HeaderName> =
                trailers.keys().filter(|name| goes(name)).cloned().collect();
            for name in gone {
                trailers.remove(name);
            }
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// Whether a field says where a request comes from, which is the gateway's to say.
pub(crate) fn is_claim(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip" | "x-request-id")
}
