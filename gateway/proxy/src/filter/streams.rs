//! Filters that look at a response's body piece by piece, one behind the other.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;

use super::{Asked, ChunkVerdict, Fault, Filtered, Outcome, ResponseStream};
use crate::metrics::FilterStats;

/// The stages that a body goes through, and the piece that is on its way.
#[derive(Default)]
pub(crate) struct Streams {
    stages: Vec<Stage>,
    work: Work,
}

struct Stage {
    stream: Box<dyn ResponseStream>,
    stats: Arc<FilterStats>,
    open: bool,
}

#[derive(Default)]
enum Work {
    /// The next piece may come.
    #[default]
    Idle,
    /// A piece stands before a stage.
    Piece(Piece),
    /// A stage looks at it.
    Asked(
        Piece,
        Instant,
        Pin<Box<dyn Future<Output = Outcome<ChunkVerdict>>>>,
    ),
    /// The last piece is out.
    Over,
}

struct Piece {
    stage: usize,
    chunk: Bytes,
    last: bool,
}

/// Why a body ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamError {
    /// A filter wants it so.
    #[error("a filter broke the response off")]
    Aborted,
    /// A filter failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Streams {
    /// Adds a stage behind the others.
    pub(super) fn push(
        &mut self,
        stream: Box<dyn ResponseStream>,
        stats: Arc<FilterStats>,
        open: bool,
    ) {
        self.stages.push(Stage {
            stream,
            stats,
            open,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.stages.len()
    }

    /// Whether a piece is on its way.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.work, Work::Piece(_) | Work::Asked(..))
    }

    /// Whether the last piece is out.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.work, Work::Over)
    }

    /// Sends a piece on its way; only while none is.
    pub(crate) fn put(&mut self, chunk: Bytes, last: bool) {
        self.put_at(0, chunk, last);
    }

    /// Sends a piece on its way from a stage on.
    pub(crate) fn put_at(&mut self, stage: usize, chunk: Bytes, last: bool) {
        self.work = Work::Piece(Piece { stage, chunk, last });
    }

    /// Goes on with the piece in hand, until it is out; nothing where nothing is left of it.
    pub(crate) fn poll(
        &mut self,
        filtered: &mut Filtered,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        loop {
            match std::mem::take(&mut self.work) {
                Work::Idle => return Poll::Ready(Ok(None)),
                Work::Over => {
                    self.work = Work::Over;
                    return Poll::Ready(Ok(None));
                }
                Work::Piece(piece) if piece.stage < self.stages.len() => {
                    self.call(filtered, piece)?;
                }
                Work::Piece(Piece { chunk, last, .. }) => {
                    self.work = if last { Work::Over } else { Work::Idle };
                    return Poll::Ready(Ok(Some(chunk).filter(|chunk| !chunk.is_empty())));
                }
                Work::Asked(piece, began, mut future) => {
                    let Poll::Ready(outcome) = future.as_mut().poll(cx) else {
                        self.work = Work::Asked(piece, began, future);
                        return Poll::Pending;
                    };
                    self.judge(filtered, piece, began, outcome)?;
                }
            }
        }
    }

    /// Shows a piece to the stage that it stands before.
    fn call(&mut self, filtered: &mut Filtered, piece: Piece) -> Result<(), StreamError> {
        let Some(stage) = self.stages.get_mut(piece.stage) else {
            return Ok(());
        };
        let exchange = filtered.lend().ok_or(Fault::Timeout)?;
        let began = Instant::now();
        let asked = stage
            .stream
            .chunk(exchange, piece.chunk.clone(), piece.last);
        match asked {
            Asked::Done(outcome) => self.judge(filtered, piece, began, outcome)?,
            Asked::Later(future) => self.work = Work::Asked(piece, began, future),
        }
        Ok(())
    }

    /// What becomes of a piece.
    fn judge(
        &mut self,
        filtered: &mut Filtered,
        mut piece: Piece,
        began: Instant,
        (exchange, verdict): Outcome<ChunkVerdict>,
    ) -> Result<(), StreamError> {
        filtered.take_back(exchange);
        if let Some(Stage { stats, open, .. }) = self.stages.get(piece.stage) {
            let fault = verdict.as_ref().err().copied();
            stats.count(filtered.worker(), began.elapsed(), fault);
            if let Some(fault) = fault.filter(|_| !open) {
                return Err(fault.into());
            }
        }
        match verdict {
            Ok(ChunkVerdict::Pass) | Err(_) => {}
            Ok(ChunkVerdict::Replace(chunk)) => piece.chunk = chunk,
            Ok(ChunkVerdict::Abort) => return Err(StreamError::Aborted),
            // What comes behind still has to hear of the end.
            Ok(ChunkVerdict::Drop) if piece.last => piece.chunk = Bytes::new(),
            Ok(ChunkVerdict::Drop) => return Ok(()),
        }
        piece.stage += 1;
        self.work = Work::Piece(piece);
        Ok(())
    }

    /// Sends a whole body through.
    pub(super) async fn all(
        &mut self,
        filtered: &mut Filtered,
        body: Bytes,
    ) -> Result<Bytes, StreamError> {
        self.put(body, true);
        let out = std::future::poll_fn(|cx| {
            let piece = ready!(self.poll(filtered, cx));
            Poll::Ready(piece)
        });
        Ok(out.await?.unwrap_or_default())
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Streams").field(&self.stages.len()).finish()
    }
}
