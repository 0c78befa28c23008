//! Names with underscores that are read as others.
//!
//! CGI and WSGI turn every `-` of a name into `_`, so that a client's `X_Real_IP` would stand for the
//! gateway's `X-Real-IP`. Nginx drops all names with underscores unless told otherwise; here those go that
//! would be taken for a field by which the gateway frames a message or says where it comes from.

use http::{HeaderMap, HeaderName};

use crate::trailers;

/// Removes them.
pub(super) fn remove(headers: &mut HeaderMap) {
    if !headers.keys().any(is_twin) {
        return;
    }
    let twins: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_twin(name))
        .cloned()
        .collect();
    for name in twins {
        headers.remove(name);
    }
}

fn is_twin(name: &HeaderName) -> bool {
    let name = name.as_str();
    memchr::memchr(b'_', name.as_bytes()).is_some() && {
        let meant = name.replace('_', "-");
        trailers::is_claim(&meant) || super::HOP.contains(&&*meant) || FRAMING.contains(&&*meant)
    }
}

const FRAMING: [&str; 4] = ["content-length", "expect", "host", "trailer"];
