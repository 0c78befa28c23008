//! The body of a request on its way to a backend.

use std::{
    cell::Cell,
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::BodyError;
use crate::{error::Reason, guard::BodyRefused, patience::Patience, trailers};

/// The body of a request on its way to a backend.
pub(crate) enum RequestBody {
    Empty,
    Client(Box<ClientBody>),
    /// One that is in memory, as a filter has seen it.
    Whole(Option<Bytes>),
}

/// A body that was to be read whole.
pub(crate) enum Gathered {
    Whole(Bytes),
    /// It has more than it may: it goes on from its beginning.
    Longer(RequestBody),
}

/// A client's body, held to what its head said and to the route's limits.
pub(crate) struct ClientBody {
    inner: Incoming,
    /// What was read of it and goes before the rest.
    ahead: VecDeque<Frame<Bytes>>,
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
    /// When a part of it was last sent on, if any was.
    pub(crate) moved: Cell<Option<Instant>>,
    /// Whether it was sent on to its end.
    pub(crate) ended: Cell<bool>,
    /// Whether its trailers stay here: `Connection` names fields, and one of these may be among them.
    pub(crate) without_trailers: Cell<bool>,
}

impl BodyState {
    pub(crate) fn new(ended: bool) -> Rc<Self> {
        Rc::new(Self {
            fault: Cell::new(None),
            moved: Cell::new(None),
            ended: Cell::new(ended),
            without_trailers: Cell::new(false),
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
            ahead: VecDeque::new(),
            declared,
            seen: 0,
            max,
            patience,
            state,
        }))
    }

    /// Reads all of it, if it has at most so many bytes.
    pub(crate) async fn gather(self, most: usize) -> Result<Gathered, Reason> {
        let mut client = match self {
            Self::Client(client) => client,
            Self::Empty => return Ok(Gathered::Whole(Bytes::new())),
            Self::Whole(body) => return Ok(Gathered::Whole(body.unwrap_or_default())),
        };
        let longer = |size: u64| usize::try_from(size).map_or(true, |size| size > most);
        if client.declared.is_some_and(longer) {
            return Ok(Gathered::Longer(Self::Client(client)));
        }
        let mut body = BytesMut::new();
        let mut frames = VecDeque::new();
        while let Some(frame) = poll_fn(|cx| client.poll(cx)).await {
            let frame = frame.map_err(|_| client.fault())?;
            if let Some(data) = frame.data_ref() {
                body.extend_from_slice(data);
            }
            frames.push_back(frame);
            if body.len() > most {
                client.ahead = frames;
                return Ok(Gathered::Longer(Self::Client(client)));
            }
        }
        Ok(Gathered::Whole(body.freeze()))
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
            Self::Client(body) => match body.ahead.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => body.poll(cx),
            },
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(body) => body.ahead.is_empty() && body.inner.is_end_stream(),
            Self::Whole(body) => body.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(body) if body.ahead.is_empty() => body.inner.size_hint(),
            // What was read ahead belongs to it again.
            Self::Client(body) => body
                .declared
                .map_or_else(SizeHint::new, SizeHint::with_exact),
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
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
                self.state.moved.set(Some(Instant::now()));
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
                Poll::Ready(Some(Ok(if self.state.without_trailers.get() {
                    trailers::without_any(frame)
                } else {
                    trailers::without_claims(frame)
                })))
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

    /// Why it broke.
    fn fault(&self) -> Reason {
        let fault = self.state.fault.get();
        fault.unwrap_or(Reason::BodyBroken("broke off"))
    }

    fn fail(&self, fault: Reason) -> BodyError {
        self.state.fault.set(Some(fault));
        BodyError::Client(fault)
    }
}
