//! Gathers the frames of HTTP/2 into few writes.
//!
//! The parser hands over each frame of 256 bytes or more by itself and flushes before the next, so that
//! every response would cost a TLS record and a system call. Here both only keep the bytes; what a
//! whole turn of the connection has kept is written at its end, after the tasks that are ready have had
//! a turn to add theirs.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that keeps what is written until [`Gather::poll_out`]. Clones are the same stream.
pub(crate) struct Gather<S>(Rc<RefCell<Inner<S>>>);

struct Inner<S> {
    stream: S,
    kept: BytesMut,
    /// How much was kept when others were last let go first.
    seen: usize,
    /// How often others were let go first since the last write.
    turns: u8,
}

impl<S> Clone for Gather<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            stream,
            kept: BytesMut::new(),
            seen: 0,
            turns: 0,
        })))
    }

    /// Writes what the connection's turn has kept, unless others may still add to it.
    pub(crate) fn poll_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        if inner.kept.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if inner.gives_way() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        inner.write_out(cx)
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Writes what it can of what is kept, and of the stream's own last word: the connection has ended.
    pub(crate) fn last_out(&self, cx: &mut Context<'_>, word: impl FnOnce(&S) -> Option<[u8; 17]>) {
        let mut inner = self.0.borrow_mut();
        if let Some(word) = word(&inner.stream) {
            inner.kept.extend_from_slice(&word);
        }
        drop(inner.write_out(cx));
    }

    /// The stream below, if this is the only clone.
    pub(crate) fn into_inner(self) -> Option<S> {
        Rc::into_inner(self.0).map(|inner| inner.into_inner().stream)
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    /// Whether the other ready tasks should go first once more: as long as they add something.
    fn gives_way(&mut self) -> bool {
        let grew = self.kept.len() > self.seen;
        self.seen = self.kept.len();
        self.turns += 1;
        grew && self.turns <= TURNS && self.kept.len() < ENOUGH
    }

    fn write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.kept))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.kept.advance(count);
        }
        // An idle connection keeps no buffer.
        self.kept = BytesMut::new();
        (self.seen, self.turns) = (0, 0);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.kept.len() >= ENOUGH {
            self.write_out(cx)
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_room(cx))?;
        inner.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_room(cx))?;
        inner
            .kept
            .reserve(slices.iter().map(|slice| slice.len()).sum());
        slices
            .iter()
            .for_each(|slice| inner.kept.extend_from_slice(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Says yes: [`Gather::poll_out`] writes at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.write_out(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

/// A TLS record or four.
const ENOUGH: usize = 64 * 1024;
const TURNS: u8 = 8;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Counts what it is asked to write.
    #[derive(Default)]
    struct Sink {
        writes: Vec<usize>,
        flushes: usize,
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(40_000);
            self.writes.push(count);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn many_writes_and_flushes_are_one_write_at_the_end_of_the_turn() {
        run(async {
            let mut gather = Gather::new(Sink::default());
            for _ in 0..100 {
                gather.write_all(&[1; 100]).await.unwrap();
                gather.flush().await.unwrap();
            }
            assert_eq!(gather.0.borrow().stream.writes.len(), 0);
            std::future::poll_fn(|cx| gather.poll_out(cx))
                .await
                .unwrap();
            assert_eq!(gather.0.borrow().stream.writes, [10_000]);
            assert_eq!(gather.0.borrow().stream.flushes, 1);
            assert_eq!(gather.0.borrow().kept.capacity(), 0);
        });
    }

    #[test]
    fn what_is_kept_is_bounded_and_written_whole() {
        run(async {
            let mut gather = Gather::new(Sink::default());
            for _ in 0..10 {
                gather.write_all(&vec![1; 30_000]).await.unwrap();
                assert!(gather.0.borrow().kept.len() < ENOUGH + 30_000);
            }
            gather.shutdown().await.unwrap();
            assert_eq!(
                gather.0.borrow().stream.writes.iter().sum::<usize>(),
                300_000
            );
        });
    }
}
