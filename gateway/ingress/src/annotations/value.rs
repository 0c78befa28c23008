//! Parsers of annotation values.

use std::{net::IpAddr, time::Duration};

/// `30s`, `500ms`, `1m30s`; more than nothing.
pub(super) fn duration(text: &str) -> Option<Duration> {
    fine_duration(text).filter(|time| time.subsec_micros() % 1000 == 0)
}

/// The same with microseconds: `500us`.
pub(crate) fn fine_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (digits, after) = split_digits(rest);
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(end)?;
        let number: u64 = digits.parse().ok()?;
        let part = match unit {
            "us" => Duration::from_micros(number),
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        sum = sum.checked_add(part)?;
        rest = next;
    }
    (sum > Duration::ZERO && sum <= LONGEST).then_some(sum)
}

/// A Kubernetes quantity in whole bytes: `8Mi`, `10M`, `1.5Gi`, `0`.
pub(crate) fn quantity(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit: u64 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.is_empty() || part.len() > 6 {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let fraction = part.parse::<u64>().ok()?.checked_mul(unit)? / scale;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(fraction)
}

/// The directives of Strict-Transport-Security (RFC 6797, section 6.1): `max-age` is required, none
/// stands twice, `includeSubDomains` has no value.
pub(super) fn hsts(text: &str) -> Option<String> {
    let text = text.trim();
    // Between directives lines may not end: it becomes the value of a field.
    if !text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return None;
    }
    let mut seen: Vec<String> = Vec::new();
    for directive in text.split(';').map(str::trim).filter(|d| !d.is_empty()) {
        let (name, value) = match directive.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (directive, None),
        };
        let name = name.to_ascii_lowercase();
        if !is_token(&name) || seen.contains(&name) {
            return None;
        }
        let unquoted = value.map(|v| {
            v.strip_prefix('"')
                .and_then(|v| v.strip_suffix('"'))
                .unwrap_or(v)
        });
        let fits = match name.as_str() {
            "max-age" => unquoted.is_some_and(|v| !v.is_empty() && v.len() <= 18 && is_digits(v)),
            "includesubdomains" | "preload" => unquoted.is_none(),
            _ => unquoted.is_none_or(is_token),
        };
        if !fits {
            return None;
        }
        seen.push(name);
    }
    seen.iter()
        .any(|name| name == "max-age")
        .then(|| text.trim().to_owned())
}

/// A boolean as Go reads it, and so ingress-nginx.
pub(super) fn nginx_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A size as nginx has it: `8m`, `1g`, `0`.
pub(super) fn nginx_size(text: &str) -> Option<u64> {
    let (digits, unit) = split_digits(text.trim());
    let unit: u64 = match unit {
        "" | "b" | "B" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Whole seconds, more than none.
pub(super) fn nginx_seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let seconds = Duration::from_secs(text.parse::<u64>().ok().filter(|_| is_digits(text))?);
    (seconds > Duration::ZERO && seconds <= LONGEST).then_some(seconds)
}

/// A whole number that is not negative.
pub(super) fn nginx_number(text: &str) -> Option<u32> {
    let text = text.trim();
    text.parse().ok().filter(|_| is_digits(text))
}

/// Addresses and networks with commas between them, at least one.
pub(super) fn networks(text: &str) -> Option<Vec<String>> {
    let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    let network = |part: &str| {
        let (address, length) = match part.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (part, None),
        };
        let longest = match address.parse().ok()? {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let fits = length.is_none_or(|length| {
            is_digits(length) && length.parse::<u8>().is_ok_and(|n| n <= longest)
        });
        fits.then(|| part.to_owned())
    };
    let networks: Vec<String> = parts.map(network).collect::<Option<_>>()?;
    Some(networks).filter(|networks| !networks.is_empty())
}

/// A name of RFC 9110, as headers and cookies have, and as the filters that ship take it.
pub(super) fn token(text: &str) -> Option<String> {
    let text = text.trim();
    (is_token(text) && text.len() <= 128).then(|| text.to_owned())
}

/// What may stand as the value of a cookie's attribute.
pub(super) fn cookie_part(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = |b: u8| matches!(b, 0x20..=0x7e) && b != b';';
    (!text.is_empty() && text.bytes().all(fits)).then(|| text.to_owned())
}

/// How many letters must change to make one word of the other (Levenshtein).
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(x != *y))
                .min(left + 1)
                .min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// A token of RFC 9110.
fn is_token(text: &str) -> bool {
    let other = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || other(b))
}

/// A year: longer is no timeout, and far from what clocks overflow at.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
