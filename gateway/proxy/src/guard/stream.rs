//! The guard as a stream: what is read through it is decided on, what is written is noted.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    BodyRefused, FrameRefused, Guard, State, after_message,
    head::{HeadScanner, Scan},
};

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let start = buf.filled().len();
        loop {
            if this.state == State::Waiting {
                this.resume(cx);
            }
            this.decide();
            if !this.passed.is_empty() {
                let count = this.passed.len().min(buf.remaining());
                buf.put_slice(this.passed.get(..count).unwrap_or_default());
                this.passed.advance(count);
                if this.passed.is_empty() {
                    this.forget_buffers();
                }
                return Poll::Ready(Ok(()));
            }
            match this.state {
                State::Open => return this.read_open(cx, buf),
                // For the refused, the end of the stream would make the parser drop the answer.
                State::Waiting | State::Refused => return Poll::Pending,
                State::Broken(refusal) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        BodyRefused(refusal),
                    )));
                }
                State::Faulty(code) => {
                    return Poll::Ready(Err(frame_refused(code)));
                }
                // The two common cases need no second buffer: a head that comes whole and alone, and
                // a body of known length.
                State::Head if this.ended => return this.poll_end(cx),
                State::Head if this.held.is_empty() => ready!(this.read_head(cx, buf))?,
                State::Length { left, upgrade } if this.held.is_empty() => {
                    ready!(this.read_body(cx, buf, left, upgrade))?;
                    return Poll::Ready(Ok(()));
                }
                State::Head | State::Length { .. } | State::Chunked { .. } => {
                    if ready!(this.fill(cx))? == 0 {
                        this.ended = true;
                        return this.poll_end(cx);
                    }
                }
            }
            if buf.filled().len() > start || this.ended {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// The end of the stream. A client that has sent all it will still wants its answer: the parser
    /// learns of the end when there is none to come.
    fn poll_end(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        // In a body the end is an error, and the parser's to tell.
        if self.state != State::Head {
            return Poll::Ready(Ok(()));
        }
        self.conn.is_gone();
        self.conn.poll_idle(cx).map(Ok)
    }

    /// Reads where a head may begin, straight into the reader's buffer. What is not one whole head
    /// and nothing else is taken back to `held`.
    fn read_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            self.ended = true;
            return self.poll_end(cx);
        }
        let mut scanner = HeadScanner::default();
        match scanner.scan(read, self.bounds) {
            Scan::Complete(head) if head.len == read.len() => {
                self.conn.head_done();
                self.enter_body(head);
            }
            Scan::Partial | Scan::Complete(_) | Scan::Refused(_) => {
                self.held.extend_from_slice(read);
                buf.set_filled(before);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads of a body, straight into the reader's buffer. What is behind it is taken back to `held`.
    fn read_body(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        left: u64,
        upgrade: bool,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        self.ended |= read.is_empty();
        let own = usize::try_from(left).map_or(read.len(), |left| left.min(read.len()));
        self.held
            .extend_from_slice(read.get(own..).unwrap_or_default());
        buf.set_filled(before + own);
        self.state = match left - own as u64 {
            0 => after_message(upgrade),
            left => State::Length { left, upgrade },
        };
        Poll::Ready(Ok(()))
    }

    /// Reads what passes as it is.
    fn read_open(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        let good = self.follow(read);
        buf.set_filled(before + good);
        if let State::Faulty(code) = self.state
            && good == 0
        {
            return Poll::Ready(Err(frame_refused(code)));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into `held`.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let len = self.held.len();
        self.held.resize(len + READ, 0);
        let mut part = ReadBuf::new(self.held.get_mut(len..).unwrap_or_default());
        let poll = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let count = part.filled().len();
        self.held.truncate(len + count);
        poll.map_ok(|()| count)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.conn.wrote(poll.is_ready());
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.conn.wrote(poll.is_ready());
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The parser flushes only what it has written all of.
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.conn.wrote(poll.is_ready());
        if poll.is_ready() {
            self.conn.flushed();
        }
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // In a tunnel one side may end before the other.
        let tunnel = self.state == State::Open && self.frames.is_none();
        if self.conn.is_parked() || (self.close_suffices && !tunnel) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn frame_refused(code: u32) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, FrameRefused(code))
}

/// How much is read at once into `held`.
const READ: usize = 8 * 1024;
