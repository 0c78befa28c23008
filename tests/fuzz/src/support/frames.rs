//! HTTP/2 frames (RFC 9113 section 4.1), from text that people can read and fuzzers can change.

/// A frame that a client sends.
#[derive(Debug)]
pub struct Frame {
    /// On which stream.
    pub stream: u32,
    /// Whether it ends the stream.
    pub ends: bool,
    /// What it is.
    pub kind: Kind,
    /// Letters of its line that make it odd.
    odd: Odd,
}

/// What a frame is.
#[derive(Debug)]
pub enum Kind {
    /// HEADERS, perhaps with CONTINUATION: the fields.
    Head(Vec<(String, String)>),
    /// DATA.
    Data(Vec<u8>),
    /// Any other: its type and payload.
    Other(u8, Vec<u8>),
}

/// What a client may do with a head.
#[derive(Debug)]
enum Odd {
    No,
    /// It is cut into HEADERS and CONTINUATION.
    Cut,
    /// Its end is left out.
    Open,
}

/// The frames of a text; see [`crate::http2`].
pub fn read(text: &str) -> Vec<Frame> {
    let mut frames = Vec::new();
    for part in text.split('>').skip(1).take(FRAMES) {
        let (first, lines) = part.split_once('\n').unwrap_or((part, ""));
        let (stream, kind) = first.split_once(' ').unwrap_or((first, ""));
        let (Ok(stream), Some(letter)) = (stream.parse(), kind.chars().next()) else {
            continue;
        };
        let lines = lines.strip_suffix('\n').unwrap_or(lines);
        let odd = match (kind.contains('C'), kind.contains('O')) {
            (true, _) => Odd::Cut,
            (_, true) => Odd::Open,
            _ => Odd::No,
        };
        let kind_of = |code| Kind::Other(code, hex(lines));
        let content = match letter {
            'H' => Kind::Head(lines.lines().filter_map(field).collect()),
            'D' => Kind::Data(lines.as_bytes().to_vec()),
            'R' => kind_of(3),
            'W' => kind_of(8),
            'S' => kind_of(4),
            'P' => kind_of(6),
            'Y' => kind_of(2),
            'G' => kind_of(7),
            'X' => match hex(lines).split_first() {
                Some((code, payload)) => Kind::Other(*code, payload.to_vec()),
                None => continue,
            },
            _ => continue,
        };
        let ends = kind.contains('E') && !matches!(content, Kind::Other(..));
        frames.push(Frame {
            stream,
            ends,
            kind: content,
            odd,
        });
    }
    frames
}

/// `name: value`; a name may begin with a colon.
fn field(line: &str) -> Option<(String, String)> {
    let at = line.get(1..)?.find(": ")? + 1;
    Some((line[..at].to_owned(), line[at + 2..].to_owned()))
}

/// The bytes of hexadecimal digits, whatever stands between them.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| u8::try_from(d).unwrap_or(0))
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

impl Frame {
    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let end = if self.ends { END_STREAM } else { 0 };
        match &self.kind {
            Kind::Data(data) => frame(DATA, end, self.stream, data),
            Kind::Other(kind, payload) => frame(*kind, 0, self.stream, payload),
            Kind::Head(fields) => {
                let block: Vec<u8> = fields
                    .iter()
                    .flat_map(|(name, value)| literal(name, value))
                    .collect();
                match self.odd {
                    Odd::No => frame(HEADERS, end | END_HEADERS, self.stream, &block),
                    Odd::Open => frame(HEADERS, end, self.stream, &block),
                    Odd::Cut => {
                        let (one, other) = block.split_at(block.len() / 2);
                        let head = frame(HEADERS, end, self.stream, one);
                        [head, frame(CONTINUATION, END_HEADERS, self.stream, other)].concat()
                    }
                }
            }
        }
    }
}

/// A field that neither side remembers (RFC 7541 section 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &string(name), &string(value)].concat()
}

/// A string of RFC 7541 section 5.2, without Huffman.
fn string(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len().checked_sub(0x7f) {
        None => bytes.extend(u8::try_from(text.len())),
        Some(mut rest) => {
            bytes.push(0x7f);
            while rest >= 0x80 {
                bytes.extend(u8::try_from(rest & 0x7f | 0x80));
                rest >>= 7;
            }
            bytes.extend(u8::try_from(rest));
        }
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// Takes what the gateway sent apart: type, flags, stream, payload. The last frame may be cut off.
pub fn parse(mut bytes: &[u8]) -> Vec<(u8, u8, u32, &[u8])> {
    let mut frames = Vec::new();
    while let Some((&[a, b, c, kind, flags, d, e, f, g], rest)) = bytes.split_first_chunk::<9>() {
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        assert!(
            length <= 16 * 1024,
            "a frame of {length} bytes, which nobody allowed"
        );
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push((kind, flags, u32::from_be_bytes([d, e, f, g]), payload));
        bytes = rest;
    }
    frames
}

/// The preface and empty SETTINGS.
pub const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// DATA.
pub const DATA: u8 = 0;
/// HEADERS.
pub const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// The flag END_STREAM.
pub const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const FRAMES: usize = 60;
