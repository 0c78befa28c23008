//! By what a request is counted.

use std::net::IpAddr;

use portcullis_sdk::prelude::*;
use sha2::{Digest, Sha256};

use crate::{address, config::Key};

/// By what a request is counted, if that is not its client. Each kind has a name space of its own: no header's
/// value is taken for an address.
pub(crate) fn own(key: &Key, request: &Request) -> Option<String> {
    // Escaped, different bytes make different texts, also where they are no UTF-8.
    match key {
        Key::ClientIp => None,
        Key::Header(name) => {
            let value = request.header(name);
            value.map(|value| format!("header {}", value.escape_ascii()))
        }
        Key::Cookie(name) => request.cookie(name).map(|value| format!("cookie {value}")),
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

/// Beyond that a hash saves the gateway memory; it takes at most 1 KiB.
const LONGEST: usize = 256;
