//! The cookies of a request.

use http::{HeaderMap, header::COOKIE};
use memchr::memchr;

/// The value of the first cookie of a name. What is not a pair is passed over, and so is what stands behind
/// the first [`MOST`]: a head full of `;` would else take a filter's time.
pub(super) fn find<'f>(fields: &'f HeaderMap, name: &str) -> Option<&'f [u8]> {
    let mut left = MOST;
    let mut values = fields.get_all(COOKIE).iter();
    values.find_map(|value| find_in(value.as_bytes(), name.as_bytes(), &mut left))
}

fn find_in<'f>(mut rest: &'f [u8], name: &[u8], left: &mut usize) -> Option<&'f [u8]> {
    loop {
        *left = left.checked_sub(1)?;
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

/// How many cookies of a request are looked at. Browsers keep 180 for a domain at most, and RFC 6265
/// section 6.1 asks for 50.
const MOST: usize = 500;

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

    #[test]
    fn only_so_many_are_looked_at() {
        for (before, found) in [(MOST - 1, Some(&b"1"[..])), (MOST, None)] {
            let mut fields = HeaderMap::new();
            for value in [";".repeat(before - 1), "a=1".to_owned()] {
                fields.append(COOKIE, HeaderValue::from_str(&value).unwrap());
            }
            assert_eq!(find(&fields, "a"), found, "{before}");
        }
    }
}
