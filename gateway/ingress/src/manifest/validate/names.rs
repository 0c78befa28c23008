//! The forms of names in the Kubernetes API.

/// A DNS label (RFC 1123).
pub(super) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && is_label_of_any_length(text)
}

/// A DNS name (RFC 1123); its labels may be of any length.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label_of_any_length)
}

/// A DNS name whose first label is `*`.
pub(super) fn is_wildcard(text: &str) -> bool {
    text.len() <= 253 && text.strip_prefix("*.").is_some_and(is_subdomain)
}

/// The name of a port that a backend refers to (RFC 6335).
pub(super) fn is_port_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && is_label_of_any_length(text)
        && !text.contains("--")
        && text.bytes().any(|b| b.is_ascii_lowercase())
}

/// The key of an annotation or label: a name, perhaps after a DNS name and `/`.
pub(super) fn is_qualified(key: &str) -> bool {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// The value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let end = |b: Option<u8>| b.is_none_or(|b| b.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(inner)
        && end(text.bytes().next())
        && end(text.bytes().next_back())
}

fn is_label_of_any_length(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

pub(super) const LABEL_HINT: &str =
    "write at most 63 lower-case letters, digits and '-', with a letter or digit at both ends";
pub(super) const SUBDOMAIN_HINT: &str =
    "write lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
