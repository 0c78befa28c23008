//! The one reading of `Content-Length`, for both protocols.

/// RFC 9110 section 8.6: digits, and nothing else. Of the numbers that it allows, those with zeros in
/// front are octal to some.
pub(crate) fn parse(text: &[u8]) -> Option<u64> {
    match text {
        [] | [b'0', _, ..] => None,
        _ if text.len() > 18 || !text.iter().all(u8::is_ascii_digit) => None,
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}
