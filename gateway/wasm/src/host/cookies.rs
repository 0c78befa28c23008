//! The cookies of a request.

use http::{HeaderMap, header::COOKIE};
use memchr::memchr;

/// The value of the first cookie of a name. What is not a pair is passed over.
pub(super) fn find<'f>(fields: &'f HeaderMap, name: &str) -> Option<&'f [u8]> {
    let mut values = fields.get_all(COOKIE).iter();
    values.find_map(|value| find_in(value.as_bytes(), name.as_bytes()))
}

fn find_in<'f>(mut rest: &'f [u8], name: &[u8]) -> Option<&'f [u8]> {
    loop {
        let (pair, after) = match memchr(b';', rest) {
            Some(at) => (rest.get(..at)?, rest.get(at + 1..)),
            None => (rest, None),
        };
        if let Some((key, value)) = memchr(b'=', pair).and_then(|at| pair.split_at_checked(at))
            && key.trim_ascii() == name
        {
            return Some(value.get(1..)?.trim_ascii());
        }
        rest = after?;
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_cookie_of_a_name_counts_and_broken_ones_do_not_matter() {
        let mut fields = HeaderMap::new();
        for value in [&b"=;;a; b=1;c = 2 "[..], b"b=3; d=\xff; e=x=y; f="] {
            fields.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        let find = |name| find(&fields, name);
        assert_eq!(find("a"), None);
        assert_eq!(find("b"), Some(&b"1"[..]));
        assert_eq!(find("c"), Some(&b"2"[..]));
        assert_eq!(find("d"), Some(&b"\xff"[..]));
        assert_eq!(find("e"), Some(&b"x=y"[..]));
        assert_eq!(find("f"), Some(&b""[..]));
        assert_eq!(find("g"), None);
        assert_eq!(find(""), Some(&b""[..]));
    }
}
