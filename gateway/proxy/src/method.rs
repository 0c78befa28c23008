//! What OPTIONS and TRACE ask of those they pass.

use http::{Method, header, request::Parts};

use crate::error::Reason;

/// Whether this is an OPTIONS that has come as far as it may (RFC 9110 section 7.6.2): it is answered
/// here.
pub(crate) fn stops_here(head: &mut Parts, has_body: bool) -> Result<bool, Reason> {
    let trace = head.method == Method::TRACE;
    if trace && has_body {
        // RFC 9110 section 9.3.8.
        return Err(Reason::BadRequest("is a TRACE with a body"));
    }
    if !trace && head.method != Method::OPTIONS {
        return Ok(false);
    }
    let left = head.headers.get(header::MAX_FORWARDS);
    match left.and_then(|left| left.to_str().ok()?.parse::<u32>().ok()) {
        // What is no number limits nothing.
        None => Ok(false),
        Some(0) if trace => Err(Reason::BadRequest("is a TRACE of the gateway itself")),
        Some(0) => Ok(true),
        Some(left) => {
            head.headers.insert(header::MAX_FORWARDS, (left - 1).into());
            Ok(false)
        }
    }
}
