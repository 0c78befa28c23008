//! Fields that concern one connection only (RFC 9110 section 7.6.1), removed both ways.

mod twins;

use std::convert::Infallible;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts};

use crate::guard;

/// What the fields of one hop asked for.
#[derive(Debug, Default)]
pub(crate) struct Hop {
    /// The protocol to upgrade to, where `Connection` says so.
    pub(crate) upgrade: Option<HeaderValue>,
    /// Whether `TE` accepts trailers.
    pub(crate) trailers: bool,
    /// Whether `Connection` names fields besides those that are always one hop's: trailers, perhaps.
    pub(crate) nominates: bool,
}

/// The protocols of an `Upgrade` (RFC 9110 section 7.8) that a client may go on with. HTTP is none of them:
/// HTTP/2 is spoken by prior knowledge or ALPN, and what follows an upgrade to it would be requests that
/// no route has decided on.
pub(crate) fn protocols(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let listed = value.split(|&b| b == b',').map(<[u8]>::trim_ascii);
    listed.filter(|protocol| {
        let mut parts = protocol.split(|&b| b == b'/');
        let (name, version, more) = (parts.next(), parts.next(), parts.next());
        let is_token = |part: &[u8]| !part.is_empty() && part.iter().all(|&b| guard::is_token(b));
        let http = |name: &[u8]| {
            let names = [&b"h2c"[..], b"h2", b"h3", b"http"];
            names.iter().any(|own| own.eq_ignore_ascii_case(name))
        };
        name.is_some_and(|name| is_token(name) && !http(name))
            && version.is_none_or(is_token)
            && more.is_none()
    })
}

/// Whether the guard holds back what follows this head until it is answered: as it judges, so does this.
pub(crate) fn holds_back(head: &Parts) -> bool {
    let connection = head.headers.get_all(header::CONNECTION);
    let mut options = connection
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','));
    let wanted = |value: &HeaderValue| protocols(value.as_bytes()).next().is_some();
    head.version == Version::HTTP_11
        && options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        && head.headers.get_all(header::UPGRADE).iter().any(wanted)
}

/// `Connection` names a field that is not the connection's to remove, or what is no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nominated;

/// Removes the fields of one hop. `Err` where `Connection` nominates a field that decides on the
/// message itself: removing it, or not, would make two different messages of one.
pub(crate) fn strip(headers: &mut HeaderMap) -> Result<Hop, Nominated> {
    twins::remove(headers);
    remove(headers, || Err(Nominated))
}

/// Removes the fields of one hop from a response, which cannot be refused for what its `Connection`
/// names: what that may not name stays.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    let Ok(_) = remove(headers, || Ok::<(), Infallible>(()));
}

/// Removes the fields of one hop; `misused` says what a name means that is not the connection's.
fn remove<E>(headers: &mut HeaderMap, misused: impl Fn() -> Result<(), E>) -> Result<Hop, E> {
    let mut hop = Hop::default();
    // One pass tells what there is to do: mostly nothing, or a `Connection` alone. A removal each
    // would hash seven names.
    let mut present = [false; 7];
    for name in headers.keys() {
        if let Some(slot) = index(name).and_then(|index| present.get_mut(index)) {
            *slot = true;
        }
    }
    if !present.contains(&true) {
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
            {
                match HeaderName::from_bytes(option) {
                    Ok(name) if !is_end_to_end(&name) => nominated.push(name),
                    Ok(_) | Err(_) => misused()?,
                }
            }
        }
    }
    let [_, te, ..] = present;
    hop.trailers = te
        && headers.get_all(header::TE).iter().any(|value| {
            let mut codings = value.as_bytes().split(|&b| b == b',');
            codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        });
    if upgrade {
        let wanted = headers.get_all(header::UPGRADE).iter();
        let wanted: Vec<&[u8]> = wanted.flat_map(|own| protocols(own.as_bytes())).collect();
        let list = HeaderValue::from_bytes(&wanted.join(&b", "[..])).ok();
        hop.upgrade = list.filter(|list| !list.is_empty());
    }
    hop.nominates = nominated.iter().any(|name| index(name).is_none());
    for (name, present) in HOP.iter().zip(present) {
        if present {
            headers.remove(*name);
        }
    }
    for name in nominated {
        headers.remove(name);
    }
    Ok(hop)
}

/// The place of a name in [`HOP`].
fn index(name: &HeaderName) -> Option<usize> {
    let name = name.as_str();
    // Names are in lower case. Their lengths tell most other names apart from them.
    if !matches!(name.len(), 2 | 7 | 10 | 14 | 16 | 17) {
        return None;
    }
    HOP.iter().position(|hop| *hop == name)
}

fn is_end_to_end(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::AUTHORIZATION,
        header::COOKIE,
        // It is the connection's, but says where the message ends.
        header::TRANSFER_ENCODING,
    ]
    .contains(name)
}

/// `te` is second: see [`strip`].
const HOP: [&str; 7] = [
    "connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
];

#[cfg(test)]
mod tests;
