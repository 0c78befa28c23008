//! From http to the same URL over https.

use http::{HeaderValue, request::Parts, uri::PathAndQuery};

use crate::{authority::Subject, forwarded::Origin, snapshot::LiveRoute};

/// Where the request is redirected to, if it is: RFC 9110 section 15.4.9 keeps method and body, and
/// path and query stay as the client wrote them.
pub(crate) fn location(
    port: Option<u16>,
    route: &LiveRoute,
    subject: &Subject,
    head: &Parts,
    origin: &Origin,
) -> Option<HeaderValue> {
    if origin.https || !route.ssl_redirect || subject.host.is_empty() {
        return None;
    }
    // RFC 8555 section 8.3: a certificate cannot be asked for over the host's own https.
    if subject
        .path(head)
        .starts_with("/.well-known/acme-challenge/")
    {
        return None;
    }
    let field = subject.field.to_str().ok()?;
    let host = if subject.port.is_some() {
        field.rsplit_once(':')?.0
    } else {
        field
    };
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let location = match port {
        Some(port) => format!("https://{host}:{port}{target}"),
        None => format!("https://{host}{target}"),
    };
    HeaderValue::from_str(&location).ok()
}
