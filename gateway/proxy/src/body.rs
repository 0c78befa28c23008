//! Bodies on their way through: never whole in memory unless a filter asks for it, with patience that
//! ends.

mod request;
mod response;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

pub(crate) use request::{BodyState, Gathered, RequestBody};
pub(crate) use response::{Collected, UpstreamBody};

use crate::{error::Reason, exchange::Exchange, filter::StreamError};

/// The body of an answer to a client.
pub(crate) enum Answer {
    /// It is in memory, perhaps with trailers; the exchange ends with it.
    Own(Option<Bytes>, Option<HeaderMap>, Exchange),
    /// None: another protocol follows.
    Tunnel,
    /// A backend's.
    Upstream(Box<UpstreamBody>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(bytes, trailers, exchange) => {
                let part = match bytes.take() {
                    Some(bytes) => {
                        exchange.sent(bytes.len());
                        Some(Frame::data(bytes))
                    }
                    None => trailers.take().map(Frame::trailers),
                };
                exchange.complete();
                Poll::Ready(part.map(Ok))
            }
            Self::Tunnel => Poll::Ready(None),
            Self::Upstream(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes, trailers, _) => bytes.is_none() && trailers.is_none(),
            Self::Tunnel => true,
            Self::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes, _, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Tunnel => SizeHint::with_exact(0),
            Self::Upstream(body) => body.size_hint(),
        }
    }
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    #[error(transparent)]
    Client(Reason),
    #[error(transparent)]
    Filter(#[from] StreamError),
    #[error("the backend sent nothing for too long")]
    Idle,
}

impl BodyError {
    /// What the client is told while nothing of the answer has been sent.
    fn before_head(&self) -> Reason {
        match self {
            Self::Broken(_) | Self::Filter(StreamError::Aborted) => Reason::BadResponse,
            Self::Client(reason) => *reason,
            Self::Filter(StreamError::Fault(fault)) => Reason::Plugin(*fault),
            Self::Idle => Reason::Timeout,
        }
    }
}
