//! Hosts: the patterns that rules name, and the authority that a request names.

use std::{fmt, net::Ipv6Addr};

/// The host of a rule. Names are lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// Exactly this name.
    Exact(String),
    /// `*.` and this name: exactly one label before it.
    Wildcard(String),
    /// Rules without a host: what no named host takes.
    Any,
}

impl HostPattern {
    /// Reads a rule's host as the Ingress API defines it; the empty string is [`Self::Any`].
    pub fn parse(host: &str) -> Result<Self, HostError> {
        if host.is_empty() {
            return Ok(Self::Any);
        }
        let host = host.to_ascii_lowercase();
        let (wildcard, name) = match host.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, host.as_str()),
        };
        if host.len() > 253 {
            return Err(HostError::TooLong);
        }
        if name.contains('*') {
            return Err(HostError::Wildcard);
        }
        if name.contains(':') {
            return Err(HostError::Port);
        }
        if name.parse::<std::net::IpAddr>().is_ok() {
            return Err(HostError::Address);
        }
        if !name.split('.').all(is_label) {
            return Err(HostError::Name);
        }
        Ok(if wildcard {
            Self::Wildcard(name.to_owned())
        } else {
            Self::Exact(host)
        })
    }

    /// Whether this pattern takes requests for `host` (see [`Authority::host`]).
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Wildcard(suffix) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == suffix),
            Self::Any => true,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// A DNS label as RFC 1123 has it, in lower case.
fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The authority of a request: the value of `Host` or `:authority`, checked.
///
/// RFC 3986 would allow more (user information, sub-delimiters but `=`, percent-encoding); none of it
/// names a host on the web, and each is read differently by some server, so it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Checks and splits an authority: a name, an IPv4 address or a bracketed IPv6 address, and
    /// perhaps a port.
    pub fn parse(text: &'a str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']').ok_or(HostError::Name)?;
                address.parse::<Ipv6Addr>().map_err(|_| HostError::Name)?;
                match after.strip_prefix(':') {
                    Some(port) => (address, Some(port)),
                    None if after.is_empty() => (address, None),
                    None => return Err(HostError::Name),
                }
            }
            None => match text.bytes().position(|byte| byte == b':') {
                Some(colon) => {
                    let (host, port) = text.split_at(colon);
                    (host, port.strip_prefix(':'))
                }
                None => (text, None),
            },
        };
        let port = port.map(parse_port).transpose()?;
        if !text.starts_with('[') && !is_reg_name(host) {
            return Err(HostError::Name);
        }
        Ok(Self {
            host: host.strip_suffix('.').unwrap_or(host),
            port,
        })
    }

    /// The host without port, brackets and final dot, in the case it was sent.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The port, if one was sent.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

fn parse_port(text: &str) -> Result<u16, HostError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    text.parse().map_err(|_| HostError::Port)
}

fn is_reg_name(host: &str) -> bool {
    // Every request is asked this twice: one pass, no label empty but the one behind a final dot.
    let mut before = b'.';
    let mut fits = !host.is_empty() && host.len() <= 253;
    for byte in host.bytes() {
        let allowed = NAME_BYTES.get(usize::from(byte)).copied();
        fits &= allowed.unwrap_or_default() & ((byte != b'.') | (before != b'.'));
        before = byte;
    }
    fits
}

/// Which bytes may be in a name.
static NAME_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut at: u8 = 0;
    while at < 128 {
        let byte = at.is_ascii_alphanumeric() || matches!(at, b'-' | b'.' | b'_' | b'~' | b'=');
        #[expect(clippy::indexing_slicing, reason = "the compiler would refuse it")]
        {
            bytes[at as usize] = byte;
        }
        at += 1;
    }
    bytes
};

/// Why a text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// An IP address where a name is needed.
    #[error("is an IP address; write a DNS name, or leave the host out")]
    Address,
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// Characters or labels that no host name has.
    #[error("is not a DNS name; write lower-case labels of letters, digits and '-', parted by '.'")]
    Name,
    /// A port where none belongs, or one that is no number up to 65535.
    #[error("has a port that does not belong there; write the name alone")]
    Port,
    /// Longer than DNS allows.
    #[error("is longer than 253 characters; write a shorter name")]
    TooLong,
    /// A `*` anywhere but as the whole first label.
    #[error("has a '*' in the wrong place; write it once, as the whole first label: *.example.com")]
    Wildcard,
}

#[cfg(test)]
mod tests;
