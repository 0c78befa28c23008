//! A route's filters in their order, how they are called, and what is counted of each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use route::OnError;

use super::{
    Asked, BodyVerdict, Exchange, Fault, Filter, Hooks, RequestVerdict, ResponseVerdict, Streams,
};
use crate::metrics::FilterStats;

/// The filters of a route.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    links: Box<[Link]>,
    /// The hooks that any of them has.
    hooks: Hooks,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) filter: Arc<dyn Filter>,
    pub(crate) stats: Arc<FilterStats>,
    hooks: Hooks,
    on_error: OnError,
}

/// A request on its way through a chain.
pub(crate) struct Filtered {
    /// Away only while a hook has it.
    exchange: Option<Box<Exchange>>,
    /// How many of the chain's filters it has come to.
    reached: usize,
    worker: usize,
    /// When the last hook ended, where the next one begins at once.
    since: Option<Instant>,
}

impl Filtered {
    pub(crate) fn new(exchange: Box<Exchange>, worker: usize) -> Self {
        Self {
            exchange: Some(exchange),
            reached: 0,
            worker,
            since: None,
        }
    }

    /// The exchange, unless a hook that was given up still has it.
    pub(crate) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_deref_mut()
    }

    /// Calls one hook; `None` where it failed and the request goes on without it.
    async fn ask<V>(
        &mut self,
        link: &Link,
        call: impl FnOnce(&dyn Filter, Box<Exchange>) -> Asked<V>,
    ) -> Result<Option<V>, Fault> {
        let exchange = self.exchange.take().ok_or(Fault::Timeout)?;
        let began = self.since.take().unwrap_or_else(Instant::now);
        let (exchange, verdict) = call(&*link.filter, exchange).answer().await;
        self.exchange = Some(exchange);
        let now = Instant::now();
        self.since = Some(now);
        link.counted(self.worker, now - began, verdict)
    }

    /// Whether a filter's request hook need not be called, as what it would do is done.
    fn is_settled(&mut self, link: &Link) -> bool {
        let settles = |exchange: &mut Exchange| link.filter.settles_request(exchange);
        let settled = self.exchange.as_deref_mut().is_some_and(settles);
        if settled {
            link.stats.count_settled(self.worker);
        }
        settled
    }

    /// Whether the response hook of a filter at this place is to be called.
    fn asks_on_response(&self, index: usize, link: &Link) -> bool {
        let called = index < self.reached || !link.hooks.request;
        let seen = |exchange: &Exchange| link.filter.looks_at_response(exchange);
        // That of an exchange that is away is asked for all the same.
        called && link.hooks.response && self.exchange.as_deref().is_none_or(seen)
    }

    /// What is not a hook comes between: its time is nobody's.
    fn pause(&mut self) {
        self.since = None;
    }
}

impl Link {
    pub(crate) fn new(filter: Arc<dyn Filter>, stats: Arc<FilterStats>) -> Self {
        Self {
            hooks: filter.hooks(),
            on_error: filter.on_error(),
            filter,
            stats,
        }
    }

    /// Notes how a call went; `None` where it failed and the request goes on without it.
    pub(super) fn counted<V>(
        &self,
        worker: usize,
        time: Duration,
        verdict: Result<V, Fault>,
    ) -> Result<Option<V>, Fault> {
        let fault = verdict.as_ref().err().copied();
        self.stats.count(worker, time, fault);
        match (verdict, self.on_error) {
            (Ok(verdict), _) => Ok(Some(verdict)),
            (Err(_), OnError::Open) => Ok(None),
            (Err(fault), OnError::Closed) => Err(fault),
        }
    }
}

impl Chain {
    pub(crate) fn new(links: Vec<Link>) -> Self {
        let any = |has: fn(&Hooks) -> bool| links.iter().any(|link| has(&link.hooks));
        Self {
            hooks: Hooks {
                request: any(|hooks| hooks.request),
                response: any(|hooks| hooks.response),
                request_body: any(|hooks| hooks.request_body),
                response_body: any(|hooks| hooks.response_body),
                response_stream: any(|hooks| hooks.response_stream),
            },
            links: links.into(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// The hooks that any of its filters has.
    pub(crate) fn hooks(&self) -> Hooks {
        self.hooks
    }

    /// Calls the request hooks in the chain's order, until one answers: that answer.
    pub(crate) async fn on_request(
        &self,
        filtered: &mut Filtered,
    ) -> Result<Option<Response<Bytes>>, Fault> {
        filtered.pause();
        for (index, link) in self.links.iter().enumerate() {
            filtered.reached = index + 1;
            if !link.hooks.request || filtered.is_settled(link) {
                continue;
            }
            let verdict = filtered.ask(link, |filter, exchange| filter.on_request(exchange));
            match verdict.await? {
                Some(RequestVerdict::Respond(answer)) => return Ok(Some(answer)),
                Some(RequestVerdict::Next) | None => {}
            }
        }
        Ok(None)
    }

    /// Calls the response hooks in reverse order, those of filters whose request hook was called or
    /// that have none; the body that goes with the head then, where one replaced the answer.
    pub(crate) async fn on_response(
        &self,
        filtered: &mut Filtered,
    ) -> Result<Option<Bytes>, Fault> {
        let mut replaced = None;
        filtered.pause();
        for (index, link) in self.links.iter().enumerate().rev() {
            if !filtered.asks_on_response(index, link) {
                continue;
            }
            let verdict = filtered.ask(link, |filter, exchange| filter.on_response(exchange));
            if let Some(ResponseVerdict::Replace(answer)) = verdict.await? {
                replaced = Some(filtered.replace(answer));
            }
        }
        Ok(replaced)
    }

    /// Whether any response hook is to be called.
    pub(crate) fn asks_on_response(&self, filtered: &Filtered) -> bool {
        let mut links = self.links.iter().enumerate();
        links.any(|(index, link)| filtered.asks_on_response(index, link))
    }

    /// The filters that look at the bodies of requests, in their order.
    pub(super) fn request_bodies(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.hooks.request_body)
    }

    /// Whether any filter looks at responses.
    pub(crate) fn looks_at_responses(&self) -> bool {
        self.hooks.response || self.touches_response_bodies()
    }

    /// Whether any filter looks at the bodies of responses.
    pub(crate) fn touches_response_bodies(&self) -> bool {
        self.hooks.response_body || self.hooks.response_stream
    }

    /// The filters that look at the bodies of responses, in the order in which they do.
    pub(super) fn response_bodies(&self, reached: usize) -> impl Iterator<Item = &Link> {
        let links = self.links.iter().enumerate().rev();
        links
            .filter(move |(index, link)| *index < reached || !link.hooks.request)
            .map(|(_, link)| link)
            .filter(|link| link.hooks.response_body || link.hooks.response_stream)
    }
}

impl Filtered {
    /// Puts another answer in the place of the response; its body.
    fn replace(&mut self, answer: Response<Bytes>) -> Bytes {
        let (head, body) = answer.into_parts();
        if let Some(exchange) = self.exchange() {
            exchange.answered_by = None;
            exchange.response = Some(head);
        }
        body
    }

    pub(super) fn reached(&self) -> usize {
        self.reached
    }

    /// Shows a whole body to a filter.
    pub(super) async fn body(
        &mut self,
        link: &Link,
        body: Bytes,
        call: fn(&dyn Filter, Box<Exchange>, Bytes) -> Asked<BodyVerdict>,
    ) -> Result<Option<BodyVerdict>, Fault> {
        self.pause();
        self.ask(link, |filter, exchange| call(filter, exchange, body))
            .await
    }

    /// The exchange, for a stream that calls hooks on its own; it must come back.
    pub(super) fn lend(&mut self) -> Option<Box<Exchange>> {
        self.exchange.take()
    }

    pub(super) fn take_back(&mut self, exchange: Box<Exchange>) {
        self.exchange = Some(exchange);
    }

    pub(super) fn worker(&self) -> usize {
        self.worker
    }
}

impl Link {
    pub(super) fn looks_at_whole_bodies(&self) -> bool {
        self.hooks.response_body
    }

    /// How it closes the route to every request, if it does.
    pub(crate) fn closes(&self) -> Option<Fault> {
        self.filter.fault().filter(|_| !self.is_open())
    }

    pub(super) fn is_open(&self) -> bool {
        self.on_error == OnError::Open
    }

    pub(super) fn streams(&self) -> bool {
        self.hooks.response_stream
    }
}

impl Streams {
    /// Those of a chain's filters that look at a response piece by piece.
    pub(super) fn push_link(&mut self, link: &Link) {
        self.push(
            link.filter.stream(),
            Arc::clone(&link.stats),
            link.is_open(),
        );
    }
}
