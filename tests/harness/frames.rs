//! HTTP/2 frame by frame, RFC 9113: whatever a test wants to send, right or wrong.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::{Stream, Wire, within};

/// The types of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Part of a body.
    Data = 0,
    /// Begins a stream, or ends it with trailers.
    Headers = 1,
    /// Obsolete, and still allowed.
    Priority = 2,
    /// Ends a stream with an error.
    Reset = 3,
    /// Settings and their acknowledgement.
    Settings = 4,
    /// Clients must not send it.
    PushPromise = 5,
    /// Is answered alike.
    Ping = 6,
    /// Announces the end of the connection.
    GoAway = 7,
    /// Lets more bytes through.
    WindowUpdate = 8,
    /// Goes on with a field block.
    Continuation = 9,
    /// A type that nobody knows.
    Unknown = 0x42,
}

/// The flags of frames.
pub mod flag {
    /// No more after this.
    pub const END_STREAM: u8 = 1;
    /// A setting or a ping that answers.
    pub const ACK: u8 = 1;
    /// The field block is complete.
    pub const END_HEADERS: u8 = 4;
    /// Padding follows.
    pub const PADDED: u8 = 8;
    /// A priority stands in front.
    pub const PRIORITY: u8 = 0x20;
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Any frame.
    pub fn of(kind: Kind, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Self {
        Self {
            kind: kind as u8,
            flags,
            stream,
            payload: payload.as_ref().to_vec(),
        }
    }

    /// A whole field block in one frame.
    pub fn headers(stream: u32, fields: &[(&str, &str)], end: bool) -> Self {
        let flags = flag::END_HEADERS | if end { flag::END_STREAM } else { 0 };
        Self::of(Kind::Headers, flags, stream, block(fields))
    }

    /// A GET of a path of a host.
    pub fn get(stream: u32, host: &str, path: &str) -> Self {
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", host),
            (":path", path),
        ];
        Self::headers(stream, &fields, true)
    }

    /// Part of a body.
    pub fn data(stream: u32, payload: impl AsRef<[u8]>, end: bool) -> Self {
        Self::of(
            Kind::Data,
            if end { flag::END_STREAM } else { 0 },
            stream,
            payload,
        )
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a payload that fits");
        let mut out = length.to_be_bytes()[1..].to_vec();
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.payload);
        out
    }

    /// The status of a response, where this is its head; 0 if it cannot be read.
    pub fn status(&self) -> u16 {
        status(&self.payload)
    }

    /// The number at the end of a RST_STREAM or at the second place of a GOAWAY.
    fn code(&self) -> u32 {
        let at = if self.kind == Kind::GoAway as u8 {
            4
        } else {
            0
        };
        let bytes = self.payload.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map(u32::from_be_bytes).unwrap_or(u32::MAX)
    }
}

/// How the server took a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered with this status.
    Status(u16),
    /// It reset the stream with this code.
    Reset(u32),
    /// It ended the connection with this code.
    GoAway(u32),
    /// It closed the connection without a word.
    Closed,
}

/// A connection.
pub struct Frames {
    wire: Wire,
}

impl Frames {
    /// Connects, sends the preface and empty settings.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address))
            .await
            .expect("the listener accepts");
        stream.set_nodelay(true).expect("a TCP socket");
        Self::over(stream).await
    }

    /// Speaks over an open stream.
    pub async fn over(stream: impl Stream + 'static) -> Self {
        let mut this = Self {
            wire: Wire::over(stream),
        };
        this.bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        this.send(&Frame::of(Kind::Settings, 0, 0, [])).await;
        this
    }

    /// Sends a frame. That the other side has closed shows when reading.
    pub async fn send(&mut self, frame: &Frame) {
        self.bytes(&frame.bytes()).await;
    }

    /// Sends bytes as they are.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        let _closed = within("the peer to read", self.wire.write(bytes)).await;
    }

    /// The next frame; `None` at the end of the connection. Settings and pings are acknowledged on the way.
    pub async fn next(&mut self) -> Option<Frame> {
        let frame = within("a frame or the end of the connection", self.read()).await?;
        if frame.kind == Kind::Settings as u8 && frame.flags & flag::ACK == 0 {
            self.send(&Frame::of(Kind::Settings, flag::ACK, 0, []))
                .await;
        }
        if frame.kind == Kind::Ping as u8 && frame.flags & flag::ACK == 0 {
            self.send(&Frame::of(Kind::Ping, flag::ACK, 0, &frame.payload))
                .await;
        }
        Some(frame)
    }

    /// The next frame of this type; `None` at the end of the connection.
    pub async fn next_of(&mut self, kind: Kind) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind as u8 {
                return Some(frame);
            }
        }
    }

    /// How the server takes a stream.
    pub async fn verdict(&mut self, stream: u32) -> Verdict {
        loop {
            let Some(frame) = self.next().await else {
                return Verdict::Closed;
            };
            if frame.kind == Kind::GoAway as u8 {
                return Verdict::GoAway(frame.code());
            }
            if frame.kind == Kind::Headers as u8 && frame.stream == stream {
                return Verdict::Status(status(&frame.payload));
            }
            if frame.kind == Kind::Reset as u8 && frame.stream == stream {
                return Verdict::Reset(frame.code());
            }
        }
    }

    async fn read(&mut self) -> Option<Frame> {
        let head = self.wire.exactly(9).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let payload = self.wire.exactly(length).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }
}

/// A field block: literal fields, without indexing or Huffman, RFC 7541 section 6.2.2.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name.as_bytes(), value.as_bytes()))
        .collect()
}

/// One such field, of any bytes.
pub fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        integer(text.len(), &mut out);
        out.extend_from_slice(text);
    }
    out
}

/// A field with an indexed name and incremental indexing.
pub fn indexed_name(index: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0x40 | index];
    integer(value.len(), &mut out);
    out.extend_from_slice(value);
    out
}

/// A length with a 7-bit prefix, RFC 7541 section 5.1.
fn integer(value: usize, out: &mut Vec<u8>) {
    let low = |value: usize| u8::try_from(value & 0x7f).unwrap_or_default();
    if value < 127 {
        return out.push(low(value));
    }
    out.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        out.push(low(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low(rest));
}

/// The status at the start of a response's field block; 0 if it cannot be read.
fn status(block: &[u8]) -> u16 {
    // The static table has some statuses whole, RFC 7541 appendix A.
    let indexed = [200, 204, 206, 304, 400, 404, 500];
    // A table size update may stand in front.
    let block = match block.first() {
        Some(0x20..=0x3f) => block.get(1..).unwrap_or_default(),
        _ => block,
    };
    match block {
        [first @ 0x88..=0x8e, ..] => indexed[usize::from(first - 0x88)],
        [0x48..=0x4e | 0x08..=0x0e, 3, digits @ ..] => {
            number(digits.get(..3).unwrap_or_default().iter().copied())
        }
        [0x48..=0x4e | 0x08..=0x0e, length @ 0x82..=0x83, coded @ ..] => {
            let bytes = coded.get(..usize::from(length - 0x80)).unwrap_or_default();
            number(huffman_digits(bytes).into_iter())
        }
        _ => 0,
    }
}

fn number(digits: impl Iterator<Item = u8>) -> u16 {
    digits.fold(0, |sum, digit| {
        sum * 10 + u16::from(digit.saturating_sub(b'0'))
    })
}

/// Three digits in the code of RFC 7541 appendix B: 0 to 2 have five bits, 3 to 9 six.
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|b| (0..8).rev().map(move |i| b >> i & 1))
        .collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |sum: u8, bit| sum << 1 | bit);
    let mut digits = Vec::new();
    let mut at = 0;
    while digits.len() < 3 && at + 5 <= bits.len() {
        let five = value(&bits[at..at + 5]);
        if five <= 2 {
            digits.push(b'0' + five);
            at += 5;
        } else {
            digits
                .push(b'0' + value(bits.get(at..at + 6).unwrap_or_default()).saturating_sub(0x16));
            at += 6;
        }
    }
    digits
}
