//! Sessions that the gateway goes on with by itself, out of the cookies that a filter has set.

use proxy::filter::{Exchange, Pinned, Resumed};

use super::cookies;

/// The sessions of a configuration.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) cookie: String,
    pub(super) strict: bool,
    /// Whether they move to where the hash of their key belongs.
    pub(super) balanced: bool,
}

/// What the cookie of a session says. Whoever sends it may have made it up.
#[derive(Debug, PartialEq, Eq)]
struct Session<'c> {
    key: &'c str,
    endpoint: &'c str,
    backend: u32,
}

impl Sessions {
    /// Sends a request where its session was; false where it has none, or none that can go on there.
    pub(super) fn resumes(&self, attachment: u32, exchange: &mut Exchange) -> bool {
        let value = cookies::find(&exchange.request.headers, &self.cookie);
        let Some(session) = value.and_then(Session::parse) else {
            return false;
        };
        let services = exchange.services();
        if !services.keeps_session(&exchange.steering, session.endpoint) {
            return false;
        }
        let pin = Pinned {
            endpoint: session.endpoint.to_owned(),
            strict: self.strict,
            resumed: Some(Resumed {
                attachment,
                backend: session.backend,
            }),
        };
        let key = self.balanced.then(|| session.key.as_bytes().to_vec());
        // No hook has done this: there is nothing to undo.
        exchange.steering.pin = Some(pin);
        if key.is_some() {
            exchange.steering.hash = key;
        }
        true
    }
}

impl<'c> Session<'c> {
    /// `KEY.ENDPOINT.BACKEND`; an endpoint's id may hold dots.
    fn parse(value: &'c [u8]) -> Option<Self> {
        let value = str::from_utf8(value).ok()?;
        let (key, rest) = value.split_once('.')?;
        let (endpoint, backend) = rest.rsplit_once('.')?;
        let is_key =
            (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_hash = backend.len() == 8 && backend.bytes().all(digit);
        // RFC 6265, `cookie-octet`.
        let octet =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
        let sound =
            is_key && is_hash && (1..=256).contains(&endpoint.len()) && endpoint.bytes().all(octet);
        let backend = u32::from_str_radix(backend, 16).ok().filter(|_| sound)?;
        Some(Self {
            key,
            endpoint,
            backend,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_three_parts_of_which_the_endpoint_may_hold_dots() {
        let session = |key, endpoint| Session {
            key,
            endpoint,
            backend: 0x811c_9dc5,
        };
        let parse = |value: &'static str| Session::parse(value.as_bytes());
        assert_eq!(parse("k3Y.e.811c9dc5"), Some(session("k3Y", "e")));
        let dotted = parse("k.10.0.0.1:80.811c9dc5");
        assert_eq!(dotted, Some(session("k", "10.0.0.1:80")));
    }

    #[test]
    fn what_was_made_up_is_none() {
        for value in [
            String::new(),
            "a".to_owned(),
            "a.b".to_owned(),
            "a.b.c".to_owned(),
            "a.b.811C9DC5".to_owned(),
            "a.b.+11c9dc5".to_owned(),
            ".b.811c9dc5".to_owned(),
            "a..811c9dc5".to_owned(),
            "a-b.c.811c9dc5".to_owned(),
            "a.b\t.811c9dc5".to_owned(),
            "a.b\"c.811c9dc5".to_owned(),
            format!("a.{}.811c9dc5", "b".repeat(257)),
            format!("{}.b.811c9dc5", "a".repeat(65)),
        ] {
            assert_eq!(Session::parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(Session::parse(b"a.\xff.811c9dc5"), None);
    }
}
