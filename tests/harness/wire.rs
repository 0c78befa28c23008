//! A strict reader of HTTP/1.1 messages, RFC 9112: what it accepts needs no repair.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Any byte stream: TCP or TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Why a message could not be read.
#[derive(Debug)]
pub enum Broken {
    /// The connection ended before the first byte.
    Closed,
    /// The connection ended within the message.
    Truncated,
    /// The message breaks RFC 9112.
    Malformed(String),
}

impl From<io::Error> for Broken {
    // A reset is one way to end a connection early.
    fn from(_: io::Error) -> Self {
        Self::Truncated
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// By `Content-Length`.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// The head of a message.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The request line or status line.
    pub start: String,
    /// The fields in order, names in the case that was sent.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The framing that the fields tell; two that disagree are malformed.
    pub fn framing(&self, otherwise: Framing) -> Result<Framing, Broken> {
        let (codings, lengths) = (self.all("transfer-encoding"), self.all("content-length"));
        match (codings.as_slice(), lengths.as_slice()) {
            ([], []) => Ok(otherwise),
            (["chunked"], []) => Ok(Framing::Chunked),
            ([], [length]) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
                length
                    .parse()
                    .map(Framing::Length)
                    .map_err(|_| Broken::Malformed(format!("Content-Length {length}")))
            }
            _ => Err(Broken::Malformed(format!(
                "framing by {codings:?} and {lengths:?}"
            ))),
        }
    }
}

/// All values of a field, in order.
pub(crate) fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let same = fields
        .iter()
        .filter(|(own, _)| own.eq_ignore_ascii_case(name));
    same.map(|(_, value)| value.as_str()).collect()
}

/// A stream with what was read ahead of it.
pub struct Wire {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Wire {
    /// Reads and writes over `stream`.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
        }
    }

    /// Writes bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Ends our direction.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// What comes next, whatever it is; nothing at the end.
    pub async fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Exactly `length` bytes.
    pub async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < length {
            if self.fill().await? == 0 {
                return Err(Broken::Truncated);
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// The head of a message.
    pub async fn head(&mut self) -> Result<Head, Broken> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if self.fill().await.unwrap_or(0) == 0 {
                return Err(if self.buffer.is_empty() {
                    Broken::Closed
                } else {
                    Broken::Truncated
                });
            }
        };
        let raw: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let mut lines = raw[..end]
            .split(|b| *b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let start = lines.next().unwrap_or_default();
        if raw[..end].iter().filter(|b| **b == b'\n').count()
            != raw[..end].windows(2).filter(|w| w == b"\r\n").count()
        {
            return Err(Broken::Malformed("a bare LF in the head".into()));
        }
        let fields = lines.map(parse_field).collect::<Result<_, _>>()?;
        Ok(Head {
            start: text(start),
            fields,
        })
    }

    /// A body, piece by piece into `sink`; the fields of the trailer section.
    pub async fn body(
        &mut self,
        framing: Framing,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<Vec<(String, String)>, Broken> {
        match framing {
            Framing::Empty => {}
            Framing::Length(length) => self.counted(length, &mut sink).await?,
            Framing::Chunked => return self.chunks(&mut sink).await,
            Framing::Close => loop {
                let piece = self.some().await?;
                if piece.is_empty() {
                    break;
                }
                sink(&piece);
            },
        }
        Ok(Vec::new())
    }

    /// One chunk; `None` is the last one, before the trailer section.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let mut data = Vec::new();
        let size = self.chunk_size().await?;
        if size == 0 {
            return Ok(None);
        }
        self.counted(size, &mut |piece: &[u8]| data.extend_from_slice(piece))
            .await?;
        self.line_end().await?;
        Ok(Some(data))
    }

    /// The stream itself; nothing may have been read ahead.
    pub fn into_stream(self) -> Box<dyn Stream> {
        assert!(
            self.buffer.is_empty(),
            "read ahead: {:?}",
            text(&self.buffer)
        );
        self.stream
    }

    async fn chunks(
        &mut self,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<Vec<(String, String)>, Broken> {
        loop {
            let size = self.chunk_size().await?;
            if size == 0 {
                break;
            }
            self.counted(size, sink).await?;
            self.line_end().await?;
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(trailers);
            }
            trailers.push(parse_field(&line)?);
        }
    }

    async fn chunk_size(&mut self) -> Result<u64, Broken> {
        let line = text(&self.line().await?);
        let digits = line.split(';').next().unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Broken::Malformed(format!("chunk size {line:?}")));
        }
        u64::from_str_radix(digits, 16)
            .map_err(|_| Broken::Malformed(format!("chunk size {line:?}")))
    }

    async fn line_end(&mut self) -> Result<(), Broken> {
        match self.line().await?.as_slice() {
            [] => Ok(()),
            more => Err(Broken::Malformed(format!(
                "after a chunk: {:?}",
                text(more)
            ))),
        }
    }

    async fn counted(&mut self, length: u64, sink: &mut impl FnMut(&[u8])) -> Result<(), Broken> {
        let mut left = usize::try_from(length).expect("a length that fits");
        while left > 0 {
            if self.buffer.is_empty() && self.fill().await? == 0 {
                return Err(Broken::Truncated);
            }
            let piece = left.min(self.buffer.len());
            sink(&self.buffer[..piece]);
            self.buffer.drain(..piece);
            left -= piece;
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<Vec<u8>, Broken> {
        let end = loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                break end;
            }
            if self.buffer.len() > 65536 {
                return Err(Broken::Malformed("an endless line".into()));
            }
            if self.fill().await? == 0 {
                return Err(Broken::Truncated);
            }
        };
        let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
        match line.contains(&b'\n') {
            true => Err(Broken::Malformed("a bare LF in a line".into())),
            false => Ok(line),
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(64 * 1024);
        self.stream.read_buf(&mut self.buffer).await
    }
}

fn parse_field(line: &[u8]) -> Result<(String, String), Broken> {
    let malformed = || Broken::Malformed(format!("field line {:?}", text(line)));
    let colon = line.iter().position(|b| *b == b':').ok_or_else(malformed)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    if name.is_empty()
        || !name.iter().all(token)
        || value
            .iter()
            .any(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f)
    {
        return Err(malformed());
    }
    Ok((text(name), text(value)))
}

/// Bytes as text, one character a byte.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// The bytes of such a text.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).expect("one character a byte"))
        .collect()
}
