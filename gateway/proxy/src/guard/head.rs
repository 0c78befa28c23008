//! The strict reading of an HTTP/1 request head (RFC 9112), byte by byte, before any parser that
//! repairs. It decides only whether the head means one thing to everyone; hyper then parses it.

use crate::{
    content_length,
    guard::{Framing, Refusal},
    hop,
};

/// What a head says that matters before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes up to and with the empty line.
    pub(super) len: usize,
    /// How the body is delimited.
    pub(super) framing: Framing,
    /// Whether another protocol may follow, once the backend agrees.
    pub(super) upgrade: bool,
}

/// How far a head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// More bytes are needed.
    Partial,
    /// The head is complete and means one thing.
    Complete(Head),
    /// The head must be refused.
    Refused(Refusal),
}

/// Reads one head as its bytes come in. Every byte is looked at once.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Up to where no line end was found.
    searched: usize,
    /// Empty lines before the request line (RFC 9112 section 2.2).
    blanks: u8,
    version: Option<Version>,
    method_is_options: bool,
    absolute: Option<(usize, usize)>,
    host: Option<(usize, usize)>,
    fields: usize,
    content_length: Option<u64>,
    chunked: bool,
    connection_upgrade: bool,
    upgrade: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// Largest head and number of fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) size: usize,
    pub(super) fields: usize,
}

impl HeadScanner {
    /// Looks at `bytes`, which begin with this head and grew since the last call.
    pub(super) fn scan(&mut self, bytes: &[u8], bounds: Bounds) -> Scan {
        match self.advance(bytes, bounds) {
            Ok(Some(len)) => match self.finish(bytes, len) {
                Ok(head) => Scan::Complete(head),
                Err(refusal) => Scan::Refused(refusal),
            },
            Ok(None) if bytes.len() > bounds.size => Scan::Refused(Refusal::HeadTooLarge),
            Ok(None) => Scan::Partial,
            Err(refusal) => Scan::Refused(refusal),
        }
    }

    /// Reads line by line up to the empty one, and returns where that ends.
    fn advance(&mut self, bytes: &[u8], bounds: Bounds) -> Result<Option<usize>, Refusal> {
        // What cannot begin a request, as a TLS handshake does, is refused before any line end.
        if self.line == 0 && bytes.first().is_some_and(|&b| !is_token(b) && b != b'\r') {
            return Err(Refusal::Malformed("does not begin with a method"));
        }
        loop {
            let rest = bytes.get(self.searched..).unwrap_or_default();
            let Some(at) = memchr::memchr(b'\n', rest) else {
                // A last CR may still get its LF; no other will ever end a line.
                let undecided = rest.strip_suffix(b"\r").unwrap_or(rest);
                if undecided.contains(&b'\r') {
                    return Err(Refusal::Malformed("has a CR without LF"));
                }
                self.searched += undecided.len();
                return Ok(None);
            };
            let end = self.searched + at;
            let start = self.line;
            let line = bytes.get(start..end).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(Refusal::Malformed("has a line that ends without CR"));
            };
            self.line = end + 1;
            self.searched = self.line;
            if self.line > bounds.size {
                return Err(Refusal::HeadTooLarge);
            }
            match self.version {
                None if line.is_empty() && self.blanks < 4 => self.blanks += 1,
                None => self.request_line(line, start)?,
                Some(_) if line.is_empty() => return Ok(Some(self.line)),
                Some(version) => {
                    self.fields += 1;
                    if self.fields > bounds.fields {
                        return Err(Refusal::HeadTooLarge);
                    }
                    self.field(line, start, version)?;
                }
            }
        }
    }

    fn request_line(&mut self, line: &[u8], start: usize) -> Result<(), Refusal> {
        let mut parts = line.split(|&b| b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed(
                "has a request line that is not three words",
            ));
        };
        if method.is_empty() || !are_tokens(method) {
            return Err(Refusal::Malformed("has a method that is no token"));
        }
        if method.len() > 32 {
            return Err(Refusal::Malformed("has a method of more than 32 bytes"));
        }
        self.version = Some(match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => {
                return Err(Refusal::Malformed(
                    "is of a version that is not HTTP/1.0 or HTTP/1.1",
                ));
            }
        });
        self.method_is_options = method == b"OPTIONS";
        self.target(method, target, start + method.len() + 1)
    }

    fn target(&mut self, method: &[u8], target: &[u8], start: usize) -> Result<(), Refusal> {
        if target.len() > MAX_TARGET {
            return Err(Refusal::HeadTooLarge);
        }
        if !target.iter().fold(true, |all, &byte| all & is_usual(byte)) {
            check_unusual(target)?;
        }
        match target.first() {
            Some(b'/') if method != b"CONNECT" => Ok(()),
            Some(b'*') if self.method_is_options && target.len() == 1 => Ok(()),
            _ => {
                let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
                    target
                        .get(..scheme.len())
                        .is_some_and(|own| own.eq_ignore_ascii_case(scheme))
                });
                let Some(scheme) = scheme else {
                    return Err(Refusal::Malformed(
                        "has a target that is neither a path nor a URL",
                    ));
                };
                let rest = target.get(scheme.len()..).unwrap_or_default();
                let len = rest
                    .iter()
                    .position(|b| matches!(b, b'/' | b'?'))
                    .unwrap_or(rest.len());
                let from = start + scheme.len();
                self.absolute = Some((from, from + len));
                Ok(())
            }
        }
    }

    fn field(&mut self, line: &[u8], start: usize, version: Version) -> Result<(), Refusal> {
        let colon = memchr::memchr(b':', line)
            .ok_or(Refusal::Malformed("has a field line without a colon"))?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        if name.is_empty() || !are_tokens(name) {
            return Err(Refusal::Malformed("has a field name that is no token"));
        }
        // Without a way out early the compiler looks at many bytes at once.
        if !value.iter().fold(true, |all, &b| all & is_field_byte(b)) {
            return Err(Refusal::Malformed(
                "has a control character in a field value",
            ));
        }
        let text = value.trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let offset = colon + 1 + value.len() - value.trim_ascii_start().len();
                let from = start + offset;
                if self.host.replace((from, from + text.len())).is_some() {
                    return Err(Refusal::Malformed("has more than one Host"));
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = content_length::parse(text)
                    .ok_or(Refusal::Malformed("has a bad Content-Length"))?;
                if self.content_length.replace(length).is_some() {
                    return Err(Refusal::Malformed("has more than one Content-Length"));
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if version == Version::Http10
                    || self.chunked
                    || !text.eq_ignore_ascii_case(b"chunked")
                {
                    return Err(Refusal::Malformed(
                        "has a Transfer-Encoding that is not chunked, once",
                    ));
                }
                self.chunked = true;
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                let mut options = text.split(|&b| b == b',');
                self.connection_upgrade |=
                    options.any(|o| o.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade |= hop::protocols(text).next().is_some();
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks what only the whole head shows.
    fn finish(&self, bytes: &[u8], len: usize) -> Result<Head, Refusal> {
        let http11 = self.version == Some(Version::Http11);
        let slice = |(from, to): (usize, usize)| bytes.get(from..to).unwrap_or_default();
        match (self.host.map(slice), self.absolute.map(slice)) {
            // RFC 9112 section 3.2: an HTTP/1.1 request without Host is malformed.
            (None, None) if !http11 => {}
            (None, _) => return Err(Refusal::Malformed("has no Host")),
            (Some(host), absolute) => {
                let host = std::str::from_utf8(host)
                    .ok()
                    .and_then(|h| route::Authority::parse(h).ok());
                if host.is_none() {
                    return Err(Refusal::Malformed("has a Host that is no host"));
                }
                // RFC 9112 section 3.2.2 lets the target win; who reads the other one differs.
                if absolute.is_some_and(|a| !a.eq_ignore_ascii_case(self.host.map_or(b"", slice))) {
                    return Err(Refusal::Malformed(
                        "names another host in its target than in Host",
                    ));
                }
            }
        }
        let framing = match (self.chunked, self.content_length) {
            (true, Some(_)) => {
                return Err(Refusal::Malformed(
                    "has both Content-Length and Transfer-Encoding",
                ));
            }
            (true, None) => Framing::Chunked,
            (false, Some(0) | None) => Framing::Empty,
            (false, Some(length)) => Framing::Length(length),
        };
        Ok(Head {
            len,
            framing,
            upgrade: http11 && self.connection_upgrade && self.upgrade,
        })
    }
}

/// What nearly all targets are made of.
fn is_usual(byte: u8) -> bool {
    (is_token(byte) && !matches!(byte, b'#' | b'^' | b'`' | b'|'))
        || matches!(byte, b'/' | b'?' | b'=' | b':' | b';' | b',' | b'@')
}

/// Refuses what may not stand in a target, and what may but is read differently.
fn check_unusual(target: &[u8]) -> Result<(), Refusal> {
    let mut odd = false;
    let mut query = false;
    for &byte in target {
        match byte {
            b'#' | 0..=0x20 | 0x7f => return Err(UNENCODED),
            // Of the query nothing depends on them here.
            b'\\' | 0x80.. if !query => return Err(UNENCODED),
            b'?' => query = true,
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => odd = true,
            _ => {}
        }
    }
    // Not allowed by RFC 3986 but sent by browsers: let pass what the parser takes.
    if odd && http::Uri::try_from(target).is_err() {
        return Err(UNENCODED);
    }
    Ok(())
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    TOKENS.get(usize::from(byte)).copied().unwrap_or_default()
}

fn are_tokens(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, &byte| all & is_token(byte))
}

/// Which bytes may be in a token.
static TOKENS: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut at: u8 = 0;
    while at < 128 {
        let mark = matches!(at, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        let token = mark || at.is_ascii_alphanumeric();
        #[expect(clippy::indexing_slicing, reason = "the compiler would refuse it")]
        {
            bytes[at as usize] = token;
        }
        at += 1;
    }
    bytes
};

/// RFC 9110 section 5.5: visible characters, blanks, tabs and obs-text.
pub(super) fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

const UNENCODED: Refusal = Refusal::Malformed("has a target with a character that must be encoded");
/// The parser takes no longer target.
const MAX_TARGET: usize = 65_000;
