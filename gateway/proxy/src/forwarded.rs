//! Who the client is, and the fields that tell the backend.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The right-most address that is no trusted proxy's.
    pub(crate) client: IpAddr,
    /// Whether the client spoke TLS, to us or to a trusted proxy.
    pub(crate) https: bool,
    /// Whether the peer is a trusted proxy.
    pub(crate) trusted: bool,
}

/// The peer of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Its address as a field's value, which most requests need.
    text: HeaderValue,
    pub(crate) tls: bool,
    pub(crate) trusted: bool,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, tls: bool, proxies: &[IpNet]) -> Self {
        // One address, one form: ::ffff:192.0.2.1 is 192.0.2.1.
        let ip = address.ip().to_canonical();
        Self {
            address: SocketAddr::new(ip, address.port()),
            text: address_value(ip),
            tls,
            trusted: is_trusted(ip, proxies),
        }
    }

    /// The origin of a request with these fields.
    pub(crate) fn origin(&self, headers: &HeaderMap, proxies: &[IpNet]) -> Origin {
        let direct = Origin {
            client: self.address.ip(),
            https: self.tls,
            trusted: self.trusted,
        };
        if !self.trusted {
            return direct;
        }
        let scheme = headers
            .get(&X_FORWARDED_PROTO)
            .map(|value| last_of(value.as_bytes()));
        let https = match scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => false,
            _ => self.tls,
        };
        let client =
            chain(headers)
                .rev()
                .map_while(parse_address)
                .try_fold(direct.client, |_, ip| {
                    if is_trusted(ip, proxies) {
                        Ok(ip)
                    } else {
                        Err(ip)
                    }
                });
        let client = match client {
            Ok(ip) | Err(ip) => ip,
        };
        Origin {
            client,
            https,
            ..direct
        }
    }

    /// Replaces the fields that say where a request comes from. What an untrusted peer says of
    /// itself goes; what trusted proxies say stays, from the client on.
    pub(crate) fn write(
        &self,
        origin: &Origin,
        host: &HeaderValue,
        port: Option<u16>,
        headers: &mut HeaderMap,
    ) {
        // One growth for all that is added on the way.
        headers.reserve(ADDED);
        let client = if origin.client == self.address.ip() {
            self.text.clone()
        } else {
            address_value(origin.client)
        };
        let list = if self.trusted {
            self.list(origin, headers)
        } else {
            None
        };
        headers.insert(X_FORWARDED_FOR, list.unwrap_or_else(|| client.clone()));
        headers.insert(X_REAL_IP, client);
        let scheme = if origin.https { "https" } else { "http" };
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
        let keep =
            |headers: &HeaderMap, name: &HeaderName| self.trusted && headers.contains_key(name);
        if !keep(headers, &X_FORWARDED_HOST) {
            headers.insert(X_FORWARDED_HOST, host.clone());
        }
        if !keep(headers, &X_FORWARDED_PORT) {
            let value = match port {
                None if origin.https => HeaderValue::from_static("443"),
                None => HeaderValue::from_static("80"),
                Some(port) => HeaderValue::from(port),
            };
            headers.insert(X_FORWARDED_PORT, value);
        }
        if !self.trusted {
            headers.remove(header::FORWARDED);
        }
    }

    /// The list of addresses from the client to our peer.
    fn list(&self, origin: &Origin, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut list: Vec<String> = Vec::new();
        for ip in chain(headers).rev().map_while(parse_address) {
            list.push(ip.to_string());
            if ip == origin.client {
                break;
            }
        }
        list.reverse();
        list.push(self.address.ip().to_string());
        HeaderValue::from_str(&list.join(", ")).ok()
    }
}

/// The items of all `X-Forwarded-For` fields, in order.
fn chain(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &[u8]> {
    let items = headers.get_all(&X_FORWARDED_FOR).iter();
    items
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
}

/// An address, perhaps with a port or in brackets.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|a| a.ip()));
    address.ok().map(|ip| ip.to_canonical())
}

/// The item that the nearest proxy added.
fn last_of(list: &[u8]) -> &[u8] {
    list.rsplit(|&b| b == b',')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

fn address_value(ip: IpAddr) -> HeaderValue {
    // In place: a `String` would grow, and move into the value, at each new connection.
    let mut buffer = [0; LONGEST_ADDRESS];
    let mut left = buffer.as_mut_slice();
    let written = write!(left, "{ip}");
    let len = LONGEST_ADDRESS - left.len();
    // An address is made of digits, letters, dots and colons only.
    let text = buffer.get(..len).filter(|_| written.is_ok());
    text.and_then(|text| HeaderValue::from_bytes(text).ok())
        .unwrap_or(HeaderValue::from_static("unknown"))
}

/// Whether `ip`, in canonical form, is one of the trusted proxies'.
pub(crate) fn is_trusted(ip: IpAddr, proxies: &[IpNet]) -> bool {
    proxies.iter().any(|net| net.contains(&ip))
}

/// Bytes of the longest text of an address: eight groups, or six and an IPv4 address.
const LONGEST_ADDRESS: usize = 45;
/// Fields that a request gets on its way: those here, its id, and its framing.
const ADDED: usize = 8;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

#[cfg(test)]
mod tests;
