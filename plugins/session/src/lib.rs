//! The cookie of a sticky session. `sticky-session` writes it, `canary` reads it: it is one format, in
//! one place.
//!
//! Its value is `KEY.ENDPOINT.BACKEND`: a random key that a balanced session is hashed by; the id of
//! the endpoint that serves the session, opaque; a short hash of `service:port`, so that the cookie tells
//! nobody the name of a Service. All of it are characters that need no quotes in a cookie.

/// What the cookie of a session says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session<'c> {
    /// What a balanced session is hashed by: 1 to 64 letters and digits.
    pub key: &'c str,
    /// The id of its endpoint, as `response.endpoint` gives it.
    pub endpoint: &'c str,
    /// The hash of its backend: see [`backend_hash`].
    pub backend: &'c str,
}

impl<'c> Session<'c> {
    /// Reads the value of a cookie. None where it is not one that was written here: whoever sends it may
    /// have made it up.
    pub fn parse(value: &'c str) -> Option<Self> {
        let (key, rest) = value.split_once('.')?;
        // The id of an endpoint may hold dots.
        let (endpoint, backend) = rest.rsplit_once('.')?;
        let sound = (1..=64).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && is_cookie_safe(endpoint)
            && backend.len() == HASH
            && backend
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        sound.then_some(Self {
            key,
            endpoint,
            backend,
        })
    }

    /// The hash of its backend as a number.
    pub fn backend_number(&self) -> u32 {
        u32::from_str_radix(self.backend, 16).unwrap_or_default()
    }

    /// The value of its cookie; none where the endpoint's id cannot stand in one.
    pub fn value(&self) -> Option<String> {
        let value = format!("{}.{}.{}", self.key, self.endpoint, self.backend);
        let reads_back = Session::parse(&value).as_ref() == Some(self);
        reads_back.then_some(value)
    }
}

/// A short, stable hash of `service:port` (FNV-1a), in 8 hexadecimal digits.
///
/// It is no secret and no proof. Of a thousand backends of one Ingress two would share a hash with a
/// chance of one in ten thousand, and then a session's endpoint still tells them apart.
pub fn backend_hash(backend: &str) -> String {
    let hash = backend.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:08x}")
}

/// The name of the cookie where none is given.
pub const COOKIE: &str = "INGRESSCOOKIE";

/// Whether a text can be the name of a cookie: a token of RFC 9110.
pub fn is_cookie_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 128 && name.bytes().all(token)
}

/// Whether an endpoint's id can stand in a cookie without quotes (RFC 6265, `cookie-octet`).
fn is_cookie_safe(endpoint: &str) -> bool {
    let octet = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    (1..=256).contains(&endpoint.len()) && endpoint.bytes().all(octet)
}

/// How many digits the hash of a backend has.
const HASH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for endpoint in ["a", "10.0.0.1:8080", "uid-1.2", "[2001:db8::1]:80"] {
            let backend = backend_hash("web:80");
            let session = Session {
                key: "k3Y",
                endpoint,
                backend: &backend,
            };
            let value = session.value().unwrap();
            assert_eq!(Session::parse(&value), Some(session));
        }
    }

    #[test]
    fn what_was_made_up_is_none() {
        let hash = backend_hash("web:80");
        assert_eq!(hash.len(), 8);
        for value in [
            String::new(),
            "a.b.811C9DC5".to_owned(),
            "a".to_owned(),
            "a.b".to_owned(),
            "a.b.c".to_owned(),
            format!(".b.{hash}"),
            format!("a..{hash}"),
            format!("a.b\"c.{hash}"),
            format!("a-b.c.{hash}"),
            format!("a.{}.{hash}", "b".repeat(257)),
            format!("{}.b.{hash}", "a".repeat(65)),
        ] {
            assert_eq!(Session::parse(&value), None, "{value}");
        }
    }

    #[test]
    fn an_id_that_a_cookie_cannot_hold_is_not_written() {
        for endpoint in ["", "a;b", "a b", "ä"] {
            let backend = backend_hash("web:80");
            let session = Session {
                key: "k",
                endpoint,
                backend: &backend,
            };
            assert_eq!(session.value(), None, "{endpoint}");
        }
    }

    #[test]
    fn the_hash_of_a_backend_is_stable() {
        assert_eq!(backend_hash(""), "811c9dc5");
        let session = Session::parse("a.b.811c9dc5").unwrap();
        assert_eq!(session.backend_number(), 0x811c_9dc5);
        assert_eq!(backend_hash("a"), "e40c292c");
        assert_ne!(backend_hash("web:80"), backend_hash("web:8080"));
        assert!(is_cookie_name("INGRESSCOOKIE") && is_cookie_name("__Host-a"));
        assert!(!is_cookie_name("") && !is_cookie_name("a b") && !is_cookie_name("a=b"));
    }
}
