//! Filters: what a route's chain consists of, and the trait that one fulfils.
//!
//! The proxy knows chains, not what is in them: the sandbox implements [`Filter`], tests do so in
//! Rust. A hook gets the whole [`Exchange`] and gives it back, with a verdict or with a [`Fault`];
//! after a fault the exchange is as it was before the call.

pub(crate) mod body;
mod chain;
mod exchange;
mod fields;
pub(crate) mod head;
mod streams;

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::Response;
use route::{FilterRef, IngressName, OnError};

pub(crate) use chain::{Chain, Filtered, Link};
pub use exchange::{Exchange, Facts, Pinned, Resumed, Services, Steering, final_status};
pub use fields::{Change, FieldError, Message, Spent, name, value};
pub(crate) use streams::{StreamError, Streams};

/// A filter with its configuration, at its place in the chains of one Ingress.
pub trait Filter: fmt::Debug + Send + Sync {
    /// The hooks that it has. Others are never called.
    fn hooks(&self) -> Hooks;

    /// What becomes of requests when it fails.
    fn on_error(&self) -> OnError;

    /// The largest body that its whole-body hooks are given, in bytes.
    fn body_limit(&self) -> usize;

    /// How it fails at every request, if it does.
    fn fault(&self) -> Option<Fault> {
        None
    }

    /// Does what its request hook would do with a request, where that is known without it; false where it
    /// is to be called.
    fn settles_request(&self, _exchange: &mut Exchange) -> bool {
        false
    }

    /// Whether its response hook has anything to do with a response.
    fn looks_at_response(&self, _exchange: &Exchange) -> bool {
        true
    }

    /// Decides what becomes of a request.
    fn on_request(&self, exchange: Box<Exchange>) -> Asked<RequestVerdict>;

    /// Decides what becomes of a response, which the exchange has.
    fn on_response(&self, exchange: Box<Exchange>) -> Asked<ResponseVerdict>;

    /// Decides what becomes of a request's whole body.
    fn on_request_body(&self, exchange: Box<Exchange>, body: Bytes) -> Asked<BodyVerdict>;

    /// Decides what becomes of a response's whole body.
    fn on_response_body(&self, exchange: Box<Exchange>, body: Bytes) -> Asked<BodyVerdict>;

    /// Begins to look at a response's body, piece by piece.
    fn stream(&self) -> Box<dyn ResponseStream>;
}

/// What looks at the body of one response. All its calls reach the same instance.
pub trait ResponseStream: fmt::Debug {
    /// Decides what becomes of a piece; the last one may be empty. Not called again before the last
    /// call has ended.
    fn chunk(&mut self, exchange: Box<Exchange>, chunk: Bytes, last: bool) -> Asked<ChunkVerdict>;
}

/// The hooks of a filter, or of a whole chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// The request's head.
    pub request: bool,
    /// The response's head.
    pub response: bool,
    /// The request's whole body.
    pub request_body: bool,
    /// The response's whole body.
    pub response_body: bool,
    /// The response's body, piece by piece.
    pub response_stream: bool,
}

/// What came of a hook: the exchange, with a verdict or a fault.
pub type Outcome<V> = (Box<Exchange>, Result<V, Fault>);

/// The answer of a hook, which may take its time.
pub enum Asked<V> {
    /// It is here.
    Done(Outcome<V>),
    /// It comes; whoever drops this lets the hook go.
    Later(Pin<Box<dyn Future<Output = Outcome<V>>>>),
}

impl<V> Asked<V> {
    /// Waits for the answer.
    pub async fn answer(self) -> Outcome<V> {
        match self {
            Self::Done(outcome) => outcome,
            Self::Later(future) => future.await,
        }
    }
}

/// What a filter makes of a request.
#[derive(Debug)]
pub enum RequestVerdict {
    /// Go on.
    Next,
    /// Answer so.
    Respond(Response<Bytes>),
}

/// What a filter makes of a response.
#[derive(Debug)]
pub enum ResponseVerdict {
    /// Go on.
    Next,
    /// Send this instead.
    Replace(Response<Bytes>),
}

/// What a filter makes of a whole body.
#[derive(Debug)]
pub enum BodyVerdict {
    /// It passes.
    Next,
    /// This passes instead.
    Replace(Bytes),
    /// This whole answer is sent instead.
    Respond(Response<Bytes>),
}

/// What a filter makes of a piece of a body.
#[derive(Debug)]
pub enum ChunkVerdict {
    /// It passes.
    Pass,
    /// This passes instead.
    Replace(Bytes),
    /// Nothing passes instead.
    Drop,
    /// The response is broken off.
    Abort,
}

/// How a filter fails. What exactly happened is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Fault {
    /// It has no configuration that it accepts.
    #[error("a filter of the route refuses its configuration")]
    Config,
    /// It cannot be loaded.
    #[error("a filter of the route cannot be loaded")]
    Load,
    /// It wants more memory than it may have.
    #[error("a filter of the route has no memory left")]
    Memory,
    /// There is none.
    #[error("a filter of the route is missing")]
    Missing,
    /// It failed so often that it is left alone for a while.
    #[error("a filter of the route fails and is left alone for a while")]
    Open,
    /// It took too long.
    #[error("a filter of the route took too long")]
    Timeout,
    /// It trapped.
    #[error("a filter of the route failed")]
    Trap,
}

impl Fault {
    /// Every one, in the order of its number.
    pub(crate) const ALL: [Self; 7] = [
        Self::Config,
        Self::Load,
        Self::Memory,
        Self::Missing,
        Self::Open,
        Self::Timeout,
        Self::Trap,
    ];

    /// The word in `portcullis-reason` and in the access log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "plugin-config",
            Self::Load => "plugin-load",
            Self::Memory => "plugin-memory",
            Self::Missing => "plugin-missing",
            Self::Open => "plugin-open",
            Self::Timeout => "plugin-timeout",
            Self::Trap => "plugin-trap",
        }
    }
}

/// Stands where a filter cannot be: every request fails in the same way.
#[derive(Debug)]
pub struct Broken {
    /// How it fails.
    pub fault: Fault,
    /// What becomes of requests then.
    pub on_error: OnError,
}

impl Filter for Broken {
    fn hooks(&self) -> Hooks {
        Hooks {
            request: true,
            ..Hooks::default()
        }
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    fn body_limit(&self) -> usize {
        0
    }

    fn fault(&self) -> Option<Fault> {
        Some(self.fault)
    }

    fn on_request(&self, exchange: Box<Exchange>) -> Asked<RequestVerdict> {
        Asked::Done((exchange, Err(self.fault)))
    }

    fn on_response(&self, exchange: Box<Exchange>) -> Asked<ResponseVerdict> {
        Asked::Done((exchange, Err(self.fault)))
    }

    fn on_request_body(&self, exchange: Box<Exchange>, _body: Bytes) -> Asked<BodyVerdict> {
        Asked::Done((exchange, Err(self.fault)))
    }

    fn on_response_body(&self, exchange: Box<Exchange>, _body: Bytes) -> Asked<BodyVerdict> {
        Asked::Done((exchange, Err(self.fault)))
    }

    fn stream(&self) -> Box<dyn ResponseStream> {
        Box::new(BrokenStream(self.fault))
    }
}

#[derive(Debug)]
struct BrokenStream(Fault);

impl ResponseStream for BrokenStream {
    fn chunk(
        &mut self,
        exchange: Box<Exchange>,
        _chunk: Bytes,
        _last: bool,
    ) -> Asked<ChunkVerdict> {
        Asked::Done((exchange, Err(self.0)))
    }
}

/// The filters that chains name, as they are to be from now on.
#[derive(Debug, Default)]
pub struct Filters {
    generation: u64,
    all: HashMap<IngressName, OfIngress>,
}

/// The filters of one Ingress, by the item of its chain.
pub type OfIngress = HashMap<FilterRef, Arc<dyn Filter>>;

impl Filters {
    /// Filters by Ingress. A generation that differs from the last one says that any of them may be
    /// another.
    pub fn new(generation: u64, all: HashMap<IngressName, OfIngress>) -> Self {
        Self { generation, all }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The filter of an item; one that fails where there is none.
    pub(crate) fn find(&self, ingress: &IngressName, item: &FilterRef) -> Arc<dyn Filter> {
        let known = self.all.get(ingress).and_then(|own| own.get(item));
        known.map_or_else(missing, Arc::clone)
    }
}

/// The one that stands for all that are not there.
fn missing() -> Arc<dyn Filter> {
    static MISSING: LazyLock<Arc<dyn Filter>> = LazyLock::new(|| {
        Arc::new(Broken {
            fault: Fault::Missing,
            on_error: OnError::Closed,
        })
    });
    Arc::clone(&MISSING)
}

/// Whether two are one.
pub(crate) fn same(one: &Arc<dyn Filter>, other: &Arc<dyn Filter>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

#[cfg(test)]
mod tests;
