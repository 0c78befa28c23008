//! By what a request is counted.

use std::net::IpAddr;

use portcullis_sdk::prelude::*;
use sha2::{Digest, Sha256};

use crate::{address, config::Key};

/// By what a request is counted, if that is not its client. Each kind has a name space of its own: no header's
/// value is taken for an address.
pub(crate) fn own(key: &Key, request: &Request) -> Option<String> {
    match key {
        Key::ClientIp => None,
        Key::Header(name) => request.header(name).map(|value| text("header", &value)),
        Key::Cookie(name) => {
            let value = request.cookie(name);
            value.map(|value| text("cookie", value.as_bytes()))
        }
    }
}

/// A value as a key. Escaped, different bytes make different texts, also where they are no UTF-8. Of a very long
/// one the beginning is told, and the rest by its length and a hash that takes little time: clients may send
/// as much as a head can hold, and a hook that takes too long closes the route to everyone.
fn text(kind: &str, value: &[u8]) -> String {
    match value.split_at_checked(MOST) {
        Some((start, rest)) if !rest.is_empty() => {
            let hash = rest.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let (start, length) = (start.escape_ascii(), rest.len());
            format!("{kind} {start} and {length} more, {hash:016x}")
        }
        _ => format!("{kind} {}", value.escape_ascii()),
    }
}

/// The client of a request, as a text.
pub(crate) fn client(ipv6_prefix: u8, request: &Request) -> String {
    match request.client_ip() {
        IpAddr::V4(address) => format!("client {address}"),
        address @ IpAddr::V6(_) => format!("client {}", address::start(address, ipv6_prefix)),
    }
}

/// A key that the gateway takes: a long one becomes its hash, which nobody can forge.
pub(crate) fn fitting(key: String) -> String {
    if key.len() <= LONGEST {
        return key;
    }
    let digest = Sha256::digest(key.as_bytes());
    let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("hash {}", digits.concat())
}

/// How much of a value is taken as it is.
const MOST: usize = 1024;
/// Beyond that a hash saves the gateway memory; it takes at most 1 KiB.
const LONGEST: usize = 256;
