//! Bodies on their way through: never whole in memory, with patience that ends.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{
    error::Reason,
    exchange::Exchange,
    guard::BodyRefused,
    patience::{PROGRESS, Patience},
    snapshot::LiveRoute,
    trailers,
    upstream::Lease,
};

/// The body of an answer to a client.
pub(crate) enum Answer {
    /// Made here; the exchange ends with it.
    Own(Option<Bytes>, Exchange),
    /// None: another protocol follows.
    Tunnel,
    /// A backend's.
    Upstream(Box<UpstreamBody>),
}

/// The body of a backend's response.
pub(crate) struct UpstreamBody {
    inner: Incoming,
    exchange: Exchange,
    /// The connection it comes on, until it is read to its end.
    lease: Option<Lease>,
    patience: Patience,
    /// Whether the client has yet to ask for the next part.
    untaken: bool,
    /// Why it broke off, until what came before has been written.
    broken: Option<BodyError>,
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
            untaken: false,
            broken: None,
        };
        body.after_part();
        body
    }

    /// The route that the response came over.
    pub(crate) fn route(&self) -> Option<&Arc<LiveRoute>> {
        self.exchange.route()
    }

    /// After a part was handed out, or at the start: the next is the client's to ask for.
    fn after_part(&mut self) {
        if self.inner.is_end_stream() {
            self.finish();
        } else {
            self.untaken = true;
            self.exchange.conn().untaken();
        }
    }

    /// The last byte was read: the connection may serve others.
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.exchange.complete();
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(bytes, exchange) => {
                exchange.complete();
                Poll::Ready(bytes.take().map(|bytes| {
                    exchange.sent(bytes.len());
                    Ok(Frame::data(bytes))
                }))
            }
            Self::Tunnel => Poll::Ready(None),
            Self::Upstream(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes, _) => bytes.is_none(),
            Self::Tunnel => true,
            Self::Upstream(body) => body.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Tunnel => SizeHint::with_exact(0),
            Self::Upstream(body) => body.inner.size_hint(),
        }
    }
}

impl UpstreamBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.untaken {
            self.untaken = false;
            self.exchange.conn().taken();
        }
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
                Poll::Ready(Some(Ok(frame)))
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
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        if self.untaken {
            self.exchange.conn().taken();
        }
    }
}

/// The body of a request on its way to a backend.
pub(crate) enum RequestBody {
    Empty,
    Client(Box<ClientBody>),
}

/// A client's body, held to what its head said and to the route's limits.
pub(crate) struct ClientBody {
    inner: Incoming,
    declared: Option<u64>,
    seen: u64,
    max: Option<u64>,
    patience: Patience,
    state: Rc<BodyState>,
}

/// What the request that a body belongs to must know of it.
#[derive(Debug)]
pub(crate) struct BodyState {
    /// Why it broke, if it did.
    pub(crate) fault: Cell<Option<Reason>>,
    /// When a part of it was last sent on.
    pub(crate) moved: Cell<Instant>,
    /// Whether it was sent on to its end.
    pub(crate) ended: Cell<bool>,
}

impl BodyState {
    pub(crate) fn new(ended: bool) -> Rc<Self> {
        Rc::new(Self {
            fault: Cell::new(None),
            moved: Cell::new(Instant::now()),
            ended: Cell::new(ended),
        })
    }
}

impl RequestBody {
    /// A body of `declared` bytes, or of unknown length, of at most `max` bytes.
    pub(crate) fn client(
        inner: Incoming,
        declared: Option<u64>,
        max: Option<u64>,
        stall: Duration,
        state: &Rc<BodyState>,
    ) -> Self {
        let (patience, state) = (Patience::new(stall, None), Rc::clone(state));
        Self::Client(Box::new(ClientBody {
            inner,
            declared,
            seen: 0,
            max,
            patience,
            state,
        }))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Client(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(body) => body.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(body) => body.inner.size_hint(),
        }
    }
}

impl ClientBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                self.patience.progress(size);
                self.seen += size as u64;
                self.state.moved.set(Instant::now());
                let fault = if self.declared.is_some_and(|declared| self.seen > declared) {
                    Some(Reason::BodyBroken("is longer than its Content-Length"))
                } else if self.max.is_some_and(|max| self.seen > max) {
                    Some(Reason::BodyTooLarge)
                } else if frame.trailers_ref().is_some_and(trailers::are_forbidden) {
                    Some(Reason::BodyBroken("has a trailer that is none"))
                } else {
                    None
                };
                if let Some(fault) = fault {
                    return Poll::Ready(Some(Err(self.fail(fault))));
                }
                if self.inner.is_end_stream() {
                    self.state.ended.set(true);
                }
                Poll::Ready(Some(Ok(trailers::without_claims(frame))))
            }
            Poll::Ready(None) => {
                if self.declared.is_some_and(|declared| self.seen < declared) {
                    let fault = Reason::BodyBroken("is shorter than its Content-Length");
                    return Poll::Ready(Some(Err(self.fail(fault))));
                }
                self.state.ended.set(true);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let refused = std::error::Error::source(&error)
                    .and_then(|source| source.downcast_ref::<std::io::Error>())
                    .and_then(|io| io.get_ref()?.downcast_ref::<BodyRefused>());
                let fault = match refused {
                    Some(BodyRefused(refusal)) => Reason::from(*refusal),
                    None => Reason::BodyBroken("broke off"),
                };
                Poll::Ready(Some(Err(self.fail(fault))))
            }
            Poll::Pending => {
                ready!(self.patience.poll(cx));
                Poll::Ready(Some(Err(self.fail(Reason::BodyStalled))))
            }
        }
    }

    fn fail(&self, fault: Reason) -> BodyError {
        self.state.fault.set(Some(fault));
        BodyError::Client(fault)
    }
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    #[error(transparent)]
    Client(Reason),
    #[error("the backend sent nothing for too long")]
    Idle,
}
