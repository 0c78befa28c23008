//! Fields that concern one connection only (RFC 9110 section 7.6.1), removed both ways.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What the fields of one hop asked for.
#[derive(Debug, Default)]
pub(crate) struct Hop {
    /// The protocol to upgrade to, where `Connection` says so.
    pub(crate) upgrade: Option<HeaderValue>,
    /// Whether `TE` accepts trailers.
    pub(crate) trailers: bool,
}

/// `Connection` names a field that is not the connection's to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nominated;

/// Removes the fields of one hop. `Err` where `Connection` nominates a field that decides on the
/// message itself: removing it, or not, would make two different messages of one.
pub(crate) fn strip(headers: &mut HeaderMap) -> Result<Hop, Nominated> {
    let mut hop = Hop::default();
    // One pass tells whether there is anything to do: mostly there is a `Connection`, or nothing.
    if !headers.keys().any(is_hop) {
        return Ok(hop);
    }
    let mut upgrade = false;
    let mut nominated: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        for option in value
            .as_bytes()
            .split(|&b| b == b',')
            .map(<[u8]>::trim_ascii)
        {
            if option.eq_ignore_ascii_case(b"upgrade") {
                upgrade = true;
            } else if !option.is_empty()
                && !option.eq_ignore_ascii_case(b"close")
                && !option.eq_ignore_ascii_case(b"keep-alive")
                && let Ok(name) = HeaderName::from_bytes(option)
            {
                nominated.push(name);
            }
        }
    }
    if nominated.iter().any(is_end_to_end) {
        return Err(Nominated);
    }
    hop.trailers = headers.get_all(header::TE).iter().any(|value| {
        let mut codings = value.as_bytes().split(|&b| b == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    if upgrade {
        let wanted = headers.get(header::UPGRADE);
        hop.upgrade = wanted
            .filter(|value| !value.as_bytes().eq_ignore_ascii_case(b"h2c"))
            .cloned();
    }
    for name in HOP {
        headers.remove(name);
    }
    for name in nominated {
        headers.remove(name);
    }
    Ok(hop)
}

fn is_hop(name: &HeaderName) -> bool {
    HOP.contains(name)
}

fn is_end_to_end(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::AUTHORIZATION,
        header::COOKIE,
    ]
    .contains(name)
}

const HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    header::PROXY_AUTHENTICATE,
];

#[cfg(test)]
mod tests;
