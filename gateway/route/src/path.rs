//! Paths: the one normal form that is matched and forwarded, and the patterns that rules name.

use std::{borrow::Cow, fmt};

/// The path of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// The whole path, with its trailing slash or without.
    Exact(String),
    /// Whole elements from the start; a trailing slash on either side does not matter.
    Prefix(String),
    /// As [`Self::Prefix`], but any other pattern that matches alike goes first.
    ImplementationSpecific(String),
}

impl PathPattern {
    /// The path as the rule writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) | Self::ImplementationSpecific(path) => path,
        }
    }

    /// The `pathType` of the Ingress API.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Exact(_) => "Exact",
            Self::ImplementationSpecific(_) => "ImplementationSpecific",
            Self::Prefix(_) => "Prefix",
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.type_name(), self.as_str())
    }
}

/// Brings the path of a request target (no query) into the one form that is matched and forwarded:
/// RFC 3986 section 6.2.2, that is dot segments removed and percent-encoded unreserved characters
/// decoded. `%2F` stays and is never a separator; `//` stays. Borrows where nothing changes.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    let decoded = decode_unreserved(path)?;
    let mut segments = decoded.split('/');
    // Mostly there is none: that is cheap to see.
    let pairs = decoded.bytes().zip(decoded.bytes().skip(1));
    if !pairs
        .into_iter()
        .fold(false, |any, pair| any | (pair == (b'/', b'.')))
    {
        return Ok(decoded);
    }
    // Servers of servlets drop what follows the `;` and then take the segment for what is left.
    if decoded
        .split('/')
        .any(|s| s.starts_with(".;") || s.starts_with("..;"))
    {
        return Err(PathError::Parameter);
    }
    if !segments.any(|segment| segment == "." || segment == "..") {
        return Ok(decoded);
    }
    remove_dot_segments(&decoded).map(Cow::Owned)
}

fn decode_unreserved(path: &str) -> Result<Cow<'_, str>, PathError> {
    let bytes = path.as_bytes();
    let plain =
        |b: u8| (0x21..0x7f).contains(&b) && !matches!(b, b'%' | b'\\' | b'#' | b'?' | b'"');
    // Without a way out early the compiler looks at many bytes at once.
    if bytes.iter().fold(true, |all, &b| all & plain(b)) {
        return Ok(Cow::Borrowed(path));
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = (
                    rest.next().copied().and_then(hex),
                    rest.next().copied().and_then(hex),
                );
                let (Some(high), Some(low)) = digits else {
                    return Err(PathError::Percent);
                };
                match high << 4 | low {
                    0 => return Err(PathError::Nul),
                    b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => {
                        out.push(char::from(b));
                    }
                    // The hexadecimal digits keep their case: RFC 3986 would have them upper, but
                    // a signature over the path may be over the lower ones.
                    b => push_encoded(&mut out, b, path, bytes.len() - rest.as_slice().len()),
                }
            }
            b'\\' => return Err(PathError::Backslash),
            b if plain(b) => out.push(char::from(b)),
            _ => return Err(PathError::Control),
        }
    }
    Ok(if out == path {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(out)
    })
}

/// Pushes the three characters of `path` that end at `end`; they encode `byte`.
fn push_encoded(out: &mut String, byte: u8, path: &str, end: usize) {
    match end.checked_sub(3).and_then(|start| path.get(start..end)) {
        Some(text) => out.push_str(text),
        None => out.push_str(&format!("%{byte:02X}")),
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

fn remove_dot_segments(path: &str) -> Result<String, PathError> {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." if last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop().ok_or(PathError::Climbs)?;
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in kept {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// The form that is matched: runs of `/` taken as one, and the digits of percent-encodings, which mean
/// the same in either case (RFC 3986 section 6.2.2.1), as upper case. Borrows where nothing changes.
pub fn collapse(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    let mut digits = 0;
    for c in path.chars() {
        if digits > 0 {
            out.push(c.to_ascii_uppercase());
            digits -= 1;
        } else if c != '/' || !out.ends_with('/') {
            out.push(c);
            digits = if c == '%' { 2 } else { 0 };
        }
    }
    if out == path {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(out)
    }
}

/// Why a path is refused (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A raw backslash: a separator to some servers.
    #[error("the path has a backslash")]
    Backslash,
    /// Dot segments that lead above the root.
    #[error("the path climbs above the root")]
    Climbs,
    /// A raw control character, blank, `"`, `#`, `?` or byte above 0x7e.
    #[error("the path has a character that must be percent-encoded")]
    Control,
    /// `%00`.
    #[error("the path has a %00")]
    Nul,
    /// A dot segment with a parameter, as in `/..;x/`.
    #[error("the path has a dot segment with a parameter")]
    Parameter,
    /// `%` without two hexadecimal digits.
    #[error("the path has a broken percent-encoding")]
    Percent,
    /// No `/` in front.
    #[error("the path does not start with '/'")]
    Relative,
}

#[cfg(test)]
mod tests;
