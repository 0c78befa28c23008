//! Follows a chunked body (RFC 9112 section 7.1), strictly, to find where it ends.

use crate::{
    guard::{
        Refusal,
        head::{is_field_byte, is_token},
    },
    trailers,
};

/// Where in a chunked body the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In a chunk's size: its value and number of digits so far.
    Size { value: u64, digits: u8 },
    /// In a chunk's extensions, of which so many bytes passed.
    Extension {
        size: u64,
        passed: u16,
        at: Extension,
    },
    /// Before the LF that ends a chunk's size line.
    SizeLf { size: u64 },
    /// In a chunk's data, of which so many bytes are left.
    Data { left: u64 },
    /// Before the CR after a chunk's data.
    DataCr,
    /// Before the LF after a chunk's data.
    DataLf,
    /// In the trailer section.
    Trailer(Trailer),
    /// After the last byte of the body.
    End,
}

/// Where in a chunk's extensions the next byte belongs (RFC 9112 section 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// In the blanks before a semicolon.
    Blank,
    /// Before a name.
    BeforeName,
    Name,
    /// In the blanks after a name.
    AfterName,
    /// After the equals sign.
    BeforeValue,
    Value,
    Quoted,
    /// After a backslash.
    Escaped,
    AfterQuoted,
}

/// Where in the trailer section the next byte belongs, and how many bytes of it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    at: InTrailer,
    passed: u16,
    /// The first bytes of the field's name, in lower case, to know the forbidden ones.
    name: [u8; NAME],
    len: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InTrailer {
    Start,
    Name,
    Value,
    Lf,
    LastLf,
}

impl Chunks {
    /// Before the first chunk.
    pub(super) const START: Self = Self::Size {
        value: 0,
        digits: 0,
    };

    /// Passes over `bytes`; returns how many of them belong to the body.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if *self == Self::End {
                break;
            }
            if let Self::Data { left } = *self {
                let here = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - at);
                at += here;
                let left = left - here as u64;
                *self = if left == 0 {
                    Self::DataCr
                } else {
                    Self::Data { left }
                };
                continue;
            }
            *self = self.step(byte)?;
            at += 1;
        }
        Ok(at)
    }

    fn step(self, byte: u8) -> Result<Self, Refusal> {
        let next = match (self, byte) {
            (Self::Size { value, digits }, b) if b.is_ascii_hexdigit() && digits < 15 => {
                let digit = char::from(b).to_digit(16).map_or(0, u64::from);
                Self::Size {
                    value: value << 4 | digit,
                    digits: digits + 1,
                }
            }
            (Self::Size { value, digits: 1.. }, b'\r') => Self::SizeLf { size: value },
            (Self::Size { value, digits: 1.. }, b) => Self::Extension {
                size: value,
                passed: 0,
                at: Extension::Blank.step(b)?,
            },
            (Self::Extension { size, at, .. }, b'\r') if at.may_end() => Self::SizeLf { size },
            (Self::Extension { size, passed, at }, b) if passed < MAX_EXTENSION => {
                Self::Extension {
                    size,
                    passed: passed + 1,
                    at: at.step(b)?,
                }
            }
            (Self::SizeLf { size: 0 }, b'\n') => Self::Trailer(Trailer::START),
            (Self::SizeLf { size }, b'\n') => Self::Data { left: size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::START,
            (Self::Trailer(trailer), b) => return trailer.step(b),
            _ => return Err(BROKEN),
        };
        Ok(next)
    }
}

impl Extension {
    fn step(self, byte: u8) -> Result<Self, Refusal> {
        let next = match (self, byte) {
            (
                Self::Blank | Self::AfterName | Self::Name | Self::Value | Self::AfterQuoted,
                b';',
            ) => Self::BeforeName,
            (
                Self::Blank | Self::BeforeName | Self::AfterName | Self::BeforeValue,
                b' ' | b'\t',
            ) => self,
            (Self::BeforeName | Self::Name, b) if is_token(b) => Self::Name,
            (Self::Name, b' ' | b'\t') => Self::AfterName,
            (Self::Name | Self::AfterName, b'=') => Self::BeforeValue,
            (Self::BeforeValue, b'"') => Self::Quoted,
            (Self::BeforeValue | Self::Value, b) if is_token(b) => Self::Value,
            (Self::Value | Self::AfterQuoted, b' ' | b'\t') => Self::Blank,
            (Self::Quoted, b'"') => Self::AfterQuoted,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, b) if is_field_byte(b) => Self::Quoted,
            _ => return Err(BROKEN),
        };
        Ok(next)
    }

    /// Whether the line may end here.
    fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Value | Self::AfterQuoted)
    }
}

impl Trailer {
    const START: Self = Self {
        at: InTrailer::Start,
        passed: 0,
        name: [0; NAME],
        len: 0,
    };

    fn step(mut self, byte: u8) -> Result<Chunks, Refusal> {
        self.passed += 1;
        if self.passed > MAX_TRAILERS {
            return Err(Refusal::HeadTooLarge);
        }
        self.at = match (self.at, byte) {
            (InTrailer::Start, b'\r') => InTrailer::LastLf,
            (InTrailer::LastLf, b'\n') => return Ok(Chunks::End),
            (InTrailer::Start | InTrailer::Name, b) if is_token(b) => {
                if let Some(slot) = self.name.get_mut(usize::from(self.len)) {
                    *slot = b.to_ascii_lowercase();
                }
                self.len = self.len.saturating_add(1);
                InTrailer::Name
            }
            (InTrailer::Name, b':') if self.allowed() => {
                self.name = [0; NAME];
                self.len = 0;
                InTrailer::Value
            }
            (InTrailer::Value, b'\r') => InTrailer::Lf,
            (InTrailer::Value, b) if is_field_byte(b) => InTrailer::Value,
            (InTrailer::Lf, b'\n') => InTrailer::Start,
            _ => return Err(Refusal::Malformed("has a broken trailer")),
        };
        Ok(Chunks::Trailer(self))
    }

    fn allowed(&self) -> bool {
        let name = self.name.get(..usize::from(self.len)).unwrap_or(&self.name);
        !trailers::FORBIDDEN.iter().any(|own| own.as_bytes() == name)
    }
}

/// As long as the longest forbidden name, and one more.
const NAME: usize = 20;
/// More than any use of chunk extensions, less than it takes to stall anyone.
const MAX_EXTENSION: u16 = 256;
const MAX_TRAILERS: u16 = 16 * 1024;
const BROKEN: Refusal = Refusal::Malformed("has a broken chunk");
