//! The body of a backend's response on its way to the client.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::BodyError;
use crate::{
    error::Reason,
    exchange::Exchange,
    filter::Streams,
    patience::{PROGRESS, Patience},
    snapshot::LiveRoute,
    trailers,
    upstream::Lease,
};

/// The body of a backend's response.
pub(crate) struct UpstreamBody {
    inner: Incoming,
    exchange: Exchange,
    /// The connection it comes on, until it is read to its end.
    lease: Option<Lease>,
    patience: Patience,
    /// Why it broke off, until what came before has been written.
    broken: Option<BodyError>,
    /// What is in the way of most bodies: nothing.
    detour: Option<Box<Detour>>,
}

/// What becomes of a body that filters look at.
#[derive(Default)]
struct Detour {
    /// What was read of it and goes before the rest, past the first `done` of the streams.
    ahead: VecDeque<Frame<Bytes>>,
    done: usize,
    /// Whether what is ahead is all there is: these have been told of the end.
    ended: bool,
    streams: Streams,
    /// They go behind the last piece.
    trailers: Option<HeaderMap>,
}

/// A body that was to be read whole.
pub(crate) enum Collected {
    Whole(Bytes, Option<HeaderMap>, Box<Exchange>),
    /// It has more than it may: it goes on from its beginning.
    Longer(Box<UpstreamBody>),
    /// It broke off.
    Broken(Reason, Box<Exchange>),
}

impl UpstreamBody {
    /// The body of a response that may be silent for `idle`, and must have ended at `end`.
    pub(crate) fn new(
        inner: Incoming,
        exchange: Exchange,
        lease: Lease,
        idle: Duration,
        end: Option<Instant>,
    ) -> Self {
        let patience = Patience::new(idle, end);
        let mut body = Self {
            inner,
            exchange,
            lease: Some(lease),
            patience,
            broken: None,
            detour: None,
        };
        body.after_part();
        body
    }

    /// The route that the response came over.
    pub(crate) fn route(&self) -> Option<&Arc<LiveRoute>> {
        self.exchange.route()
    }

    /// The exchange that it belongs to.
    pub(crate) fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// Leaves the rest unread.
    pub(crate) fn into_exchange(self) -> Exchange {
        self.exchange
    }

    /// The filters that it goes through.
    pub(crate) fn streams(&mut self) -> &mut Streams {
        &mut self.detour.get_or_insert_default().streams
    }

    /// Reads all of it, if it has at most so many bytes.
    pub(crate) async fn collect(mut self: Box<Self>, most: usize) -> Collected {
        let exact = self.size_hint().exact();
        if exact.is_some_and(|size| usize::try_from(size).map_or(true, |size| size > most)) {
            return Collected::Longer(self);
        }
        let (mut bytes, mut frames) = (BytesMut::new(), VecDeque::new());
        let mut trailers = None;
        loop {
            let frame = match poll_fn(|cx| self.poll(cx)).await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let reason = error.before_head();
                    return Collected::Broken(reason, Box::new(self.exchange));
                }
                None => break,
            };
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(data);
            }
            frames.push_back(frame);
            if bytes.len() > most {
                // It has gone through the filters before: what is left must as well.
                let detour = self.detour.get_or_insert_default();
                (detour.ahead, detour.done) = (frames, detour.streams.len());
                detour.ended = detour.streams.is_over();
                return Collected::Longer(self);
            }
        }
        if let Some(frame) = frames.pop_back() {
            trailers = frame.into_trailers().ok();
        }
        Collected::Whole(bytes.freeze(), trailers, Box::new(self.exchange))
    }

    /// After a part was handed out, or at the start: the next is the client's to ask for.
    fn after_part(&mut self) {
        if self.inner.is_end_stream() {
            self.finish();
        } else {
            self.exchange.hand_out();
        }
    }

    /// The last byte was read: the connection may serve others.
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        if self.detour.is_none() {
            self.exchange.complete();
        }
    }

    /// The next part that goes to the client.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.detour.is_none() {
            return self.poll_backend(cx);
        }
        loop {
            let Some(detour) = &mut self.detour else {
                return Poll::Ready(None);
            };
            if detour.streams.is_busy() {
                let Some(filtered) = self.exchange.filtered() else {
                    return Poll::Ready(None);
                };
                match ready!(detour.streams.poll(filtered, cx)) {
                    Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                    Ok(None) => continue,
                    Err(error) => return Poll::Ready(Some(Err(error.into()))),
                }
            }
            if let Some(frame) = detour.ahead.pop_front() {
                match frame.into_data() {
                    Ok(piece) if detour.streams.len() > detour.done => {
                        let last = detour.ended && detour.ahead.is_empty();
                        detour.streams.put_at(detour.done, piece, last);
                        continue;
                    }
                    Ok(piece) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                }
            }
            if detour.streams.is_empty() {
                let part = ready!(self.poll_backend(cx));
                if part.is_none() {
                    self.exchange.complete();
                }
                return Poll::Ready(part);
            }
            if detour.streams.is_over() {
                self.exchange.complete();
                return Poll::Ready(detour.trailers.take().map(|t| Ok(Frame::trailers(t))));
            }
            let part = ready!(self.poll_backend(cx)).transpose();
            let last = self.inner.is_end_stream();
            let Some(detour) = &mut self.detour else {
                return Poll::Ready(None);
            };
            match part {
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(piece) => detour.streams.put(piece, last),
                    Err(frame) => {
                        detour.trailers = frame.into_trailers().ok();
                        detour.streams.put(Bytes::new(), true);
                    }
                },
                Ok(None) => detour.streams.put(Bytes::new(), true),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// The next part that comes from the backend.
    fn poll_backend(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.exchange.taken();
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if self.patience.is_over() {
            return Poll::Ready(Some(Err(BodyError::Idle)));
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.patience.progress(PROGRESS);
                if let Some(data) = frame.data_ref() {
                    self.exchange.sent(data.len());
                }
                self.after_part();
                Poll::Ready(Some(Ok(trailers::without_forbidden(frame))))
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            // The parser drops what it has not written yet, be it the head: an empty answer is one
            // that clients may ask for again.
            Poll::Ready(Some(Err(error))) => {
                self.broken = Some(BodyError::Broken(error));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                ready!(self.patience.poll(cx));
                Poll::Ready(Some(Err(BodyError::Idle)))
            }
        }
    }

    /// Whether nothing more comes.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.detour.is_none() && self.inner.is_end_stream()
    }

    /// How much is to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.detour.is_none() {
            self.inner.size_hint()
        } else {
            SizeHint::new()
        }
    }
}
