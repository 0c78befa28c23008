//! The strict checker between socket and HTTP/1 parser.
//!
//! Hyper repairs what it reads: it drops a Content-Length beside Transfer-Encoding, takes
//! `gzip, chunked` for chunked, and answers what it cannot parse by itself. The guard sees the raw
//! bytes first, and lets pass only heads and chunks that mean one thing to everyone. A head that it
//! refuses is replaced by [`STAND_IN`], so that hyper keeps the order of pipelined answers; the
//! request's service asks [`Conn::refused`] before anything else. Bytes behind a request to upgrade
//! wait until the backend has answered: they are either another protocol's or the next request's.

use std::{sync::Arc, task::Context};

use bytes::BytesMut;

use self::{
    chunks::Chunks,
    frames::{ENHANCE_YOUR_CALM, Frames},
    head::{Bounds, Head, HeadScanner, Scan},
};
use crate::{settings::Limits, stalls::Conn};

pub(crate) use head::is_token;

mod chunks;
mod frames;
mod head;
mod stream;
mod trailer_block;

/// Why a request is refused before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 431.
    HeadTooLarge,
    /// 400; the text goes on "the request …".
    Malformed(&'static str),
}

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Chunked,
    Empty,
    Length(u64),
}

/// A stream whose reader gets well-formed HTTP/1 only.
pub(crate) struct Guard<S> {
    stream: S,
    conn: Arc<Conn>,
    bounds: Bounds,
    state: State,
    scanner: HeadScanner,
    /// Bytes read from the stream that are not decided yet: the beginning of a head, or what
    /// follows a request to upgrade.
    held: BytesMut,
    /// Bytes decided on that the reader had no room for.
    passed: BytesMut,
    /// Whether the stream ended.
    ended: bool,
    /// The frames of HTTP/2, where that is spoken.
    frames: Option<Frames>,
    /// Whether the stream's close says all that its shutdown would.
    close_suffices: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a head, or before it.
    Head,
    /// In a body of known length.
    Length { left: u64, upgrade: bool },
    /// In a chunked body.
    Chunked { at: Chunks, upgrade: bool },
    /// After a request to upgrade that is not answered yet.
    Waiting,
    /// After the upgrade, or in a protocol that is checked elsewhere: everything passes.
    Open,
    /// After a head that was refused: the reader sees nothing more.
    Refused,
    /// After a body that was refused: the reader sees an error.
    Broken(Refusal),
    /// After a frame of HTTP/2 that ends the connection, with this code.
    Faulty(u32),
}

impl<S> Guard<S> {
    /// Guards HTTP/1; `read` was read from the stream before.
    pub(crate) fn new(stream: S, conn: Arc<Conn>, limits: &Limits, read: BytesMut) -> Self {
        let bounds = Bounds {
            size: limits.head_size,
            fields: limits.head_fields,
        };
        let scanner = HeadScanner::default();
        let passed = BytesMut::new();
        Self {
            stream,
            conn,
            bounds,
            state: State::Head,
            scanner,
            held: read,
            passed,
            ended: false,
            frames: None,
            close_suffices: false,
        }
    }

    /// Spares the stream's shutdown before its close, which costs a system call a connection: without
    /// TLS the close says the same.
    pub(crate) fn spare_shutdown(&mut self) {
        self.close_suffices = true;
    }

    /// Follows HTTP/2, whose parser is strict by itself, and passes what it sees no fault in; `read`
    /// first.
    pub(crate) fn http2(stream: S, conn: Arc<Conn>, limits: &Limits, read: BytesMut) -> Self {
        let mut guard = Self::new(stream, conn, limits, BytesMut::new());
        guard.state = State::Open;
        guard.frames = Some(Frames::new());
        let good = guard.follow(&read);
        guard.passed = read;
        guard.passed.truncate(good);
        guard
    }

    /// The frame that says why a connection of HTTP/2 ends, where the guard ends it.
    pub(crate) fn goaway(&self) -> Option<[u8; 17]> {
        match (self.state, &self.frames) {
            (State::Faulty(code), Some(frames)) => Some(frames.goaway(code)),
            _ => None,
        }
    }

    /// Looks at the frames of HTTP/2 among `bytes`; how many of these may pass.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let Some(frames) = &mut self.frames else {
            return bytes.len();
        };
        let outcome = frames.pass(bytes);
        if frames.in_head() {
            self.conn.head_begun();
        } else {
            self.conn.head_done();
        }
        let flood = self.conn.idle_frames(frames.take_idle_frames());
        match outcome {
            Err(fault) => {
                self.state = State::Faulty(fault.code);
                fault.good
            }
            Ok(()) if flood => {
                self.state = State::Faulty(ENHANCE_YOUR_CALM);
                bytes.len()
            }
            Ok(()) => bytes.len(),
        }
    }

    /// The stream below.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// The stream below.
    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Whether the next byte begins a message.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.state == State::Head && !self.ended && self.held.is_empty() && self.passed.is_empty()
    }

    /// Whether the peer may still be sending a message that nobody reads any more.
    pub(crate) fn unread(&self) -> bool {
        !matches!(self.state, State::Head) || !self.held.is_empty()
    }

    /// Decides on the bytes held, as far as they go; what is decided moves to `passed`.
    fn decide(&mut self) {
        while !self.held.is_empty() {
            let before = (self.state, self.held.len());
            match self.state {
                State::Head => self.decide_head(),
                State::Length { left, upgrade } => {
                    let here = usize::try_from(left)
                        .unwrap_or(usize::MAX)
                        .min(self.held.len());
                    self.pass(here);
                    let left = left - here as u64;
                    self.state = if left == 0 {
                        after_message(upgrade)
                    } else {
                        State::Length { left, upgrade }
                    };
                }
                State::Chunked { mut at, upgrade } => match at.pass(&self.held) {
                    Ok(here) => {
                        self.pass(here);
                        let end = at == Chunks::End;
                        self.state = if end {
                            after_message(upgrade)
                        } else {
                            State::Chunked { at, upgrade }
                        };
                    }
                    Err(refusal) => {
                        self.held.clear();
                        self.state = State::Broken(refusal);
                    }
                },
                State::Open => self.pass(self.held.len()),
                State::Waiting => return,
                State::Refused | State::Broken(_) | State::Faulty(_) => self.held.clear(),
            }
            if before == (self.state, self.held.len()) {
                return;
            }
        }
    }

    fn decide_head(&mut self) {
        match self.scanner.scan(&self.held, self.bounds) {
            Scan::Partial => self.conn.head_begun(),
            Scan::Complete(head) => {
                self.conn.head_done();
                self.scanner = HeadScanner::default();
                self.pass(head.len);
                self.enter_body(head);
            }
            Scan::Refused(refusal) => {
                self.conn.head_done();
                self.conn.refuse(refusal);
                let stand_in = if is_head(&self.held) {
                    STAND_IN_HEAD
                } else {
                    STAND_IN
                };
                self.held.clear();
                self.passed.extend_from_slice(stand_in);
                self.state = State::Refused;
            }
        }
    }

    fn enter_body(&mut self, head: Head) {
        if head.upgrade {
            self.conn.upgrade_asked();
        }
        self.state = match head.framing {
            Framing::Empty => after_message(head.upgrade),
            Framing::Length(left) => State::Length {
                left,
                upgrade: head.upgrade,
            },
            Framing::Chunked => State::Chunked {
                at: Chunks::START,
                upgrade: head.upgrade,
            },
        };
    }

    /// Moves `count` bytes from held to passed, without a copy where nothing was passed before.
    fn pass(&mut self, count: usize) {
        let bytes = self.held.split_to(count.min(self.held.len()));
        if self.passed.is_empty() {
            self.passed = bytes;
        } else {
            self.passed.unsplit(bytes);
        }
    }

    /// An idle connection keeps no buffer.
    fn forget_buffers(&mut self) {
        self.passed = BytesMut::new();
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }

    /// The answer to a request to upgrade, once it is known.
    fn resume(&mut self, cx: &Context<'_>) {
        match self.conn.upgrade_answer(cx) {
            Some(true) => self.state = State::Open,
            Some(false) => self.state = State::Head,
            None => {}
        }
    }
}

fn after_message(upgrade: bool) -> State {
    if upgrade { State::Waiting } else { State::Head }
}

/// The error that a reader sees where a frame ends the connection.
#[derive(Debug, thiserror::Error)]
#[error("a frame broke the protocol: error {0}")]
pub(crate) struct FrameRefused(u32);

/// The error that a reader sees where a body is refused.
#[derive(Debug, thiserror::Error)]
#[error("the request {}", match .0 { Refusal::Malformed(what) => what, Refusal::HeadTooLarge => "has too large a trailer section" })]
pub(crate) struct BodyRefused(pub(crate) Refusal);

/// Whether a refused head is that of a HEAD, whose answer has no body.
fn is_head(mut head: &[u8]) -> bool {
    // Empty lines may come before it, and nothing else.
    while let Some(rest) = head.strip_prefix(b"\r\n") {
        head = rest;
    }
    head.starts_with(b"HEAD ")
}

/// What stands in for a refused head.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
const STAND_IN_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

#[cfg(test)]
mod tests;
