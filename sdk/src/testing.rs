//! Tests of a filter that run natively, in milliseconds, against a gateway in memory. It has the same
//! rules as the real one: which fields may be set, how cookies and queries are read, how buckets fill, that
//! a failed hook is undone.
//!
//! ```
//! # use portcullis_sdk::prelude::*;
//! # #[config] struct Config {}
//! # struct Door;
//! # #[filter] impl Filter for Door {
//! #     type Config = Config;
//! #     fn new(_: Config) -> Result<Self, ConfigError> { Ok(Self) }
//! #     fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
//! #         if request.cookie("key").is_none() { return Ok(LocalResponse::text(403, "locked\n").into()); }
//! #         Ok(RequestVerdict::Next)
//! #     }
//! # }
//! use portcullis_sdk::testing::{filter, get, json};
//!
//! let door = filter::<Door>(json!({}));
//! assert_eq!(door.request(get("/")).answer().status, 403);
//! assert!(door.request(get("/").cookie("key", "gold")).passes());
//! ```
//!
//! Time stands still until [`TestFilter::advance`]; random numbers are the same in every run. Every
//! Service exists, every grant is given, and every endpoint keeps its sessions, until a test says
//! otherwise. What the gateway in memory does not know: limits of time and memory.

mod message;
mod outcome;

use std::{rc::Rc, time::Duration};

use serde_json::Value;

pub use crate::memory::{Counted, Sample};
pub use message::{RequestBuilder, ResponseBuilder, get, post, request, response};
pub use outcome::{Outcome, ResponseOutcome};
pub use serde_json::json;

use crate::{
    ConfigError, Filter, configuration,
    http_client::{HttpError, Incoming},
    log::Level,
    memory::{Exchange, Gateway, Phase},
};

/// A filter with this configuration. Panics where it is refused.
#[expect(clippy::panic, reason = "it is called in tests only")]
pub fn filter<F: Filter>(config: Value) -> TestFilter<F> {
    match try_filter(config) {
        Ok(filter) => filter,
        Err(error) => panic!("the configuration is refused: {error}"),
    }
}

/// A filter with this configuration, or why it is refused.
#[expect(
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "it is called in tests only, where `json!(…)` reads best as it is"
)]
pub fn try_filter<F: Filter>(config: Value) -> Result<TestFilter<F>, ConfigError> {
    let gateway = Rc::new(Gateway::new());
    let text = config.to_string();
    let (_, made) = gateway.call(Phase::Configure, None, || configuration::filter::<F>(&text));
    match made {
        Ok(filter) => Ok(TestFilter {
            filter: filter?,
            gateway,
        }),
        Err(why) => panic!("the filter failed over its configuration: {why}"),
    }
}

/// The JSON Schema of a filter's configuration, as the gateway gets it.
pub fn schema<F: Filter>() -> Value {
    let text = configuration::schema::<F>();
    serde_json::from_str(&text).unwrap_or_default()
}

/// A filter in a chain of its own, behind a gateway of its own.
#[derive(Debug)]
pub struct TestFilter<F> {
    filter: F,
    gateway: Rc<Gateway>,
}

impl<F: Filter> TestFilter<F> {
    /// Sends a request through the request hook.
    pub fn request(&self, request: RequestBuilder) -> Outcome<'_, F> {
        Outcome::of(self, request)
    }

    /// Sends a response through the response hook, without the request hook before it.
    pub fn response(
        &self,
        request: RequestBuilder,
        response: ResponseBuilder,
    ) -> ResponseOutcome<'_, F> {
        Outcome::unseen(self, request).response(response)
    }

    /// The filter itself.
    pub fn filter(&self) -> &F {
        &self.filter
    }

    /// Gives the filter another configuration, as a change of the annotation does: what it counts and keeps
    /// in the gateway stays. Panics where it is refused.
    #[expect(
        clippy::panic,
        clippy::needless_pass_by_value,
        reason = "it is called in tests only, where `json!(…)` reads best as it is"
    )]
    pub fn reconfigure(&mut self, config: Value) {
        let text = config.to_string();
        let call = || configuration::filter::<F>(&text);
        match self.gateway.call(Phase::Configure, None, call).1 {
            Ok(Ok(filter)) => self.filter = filter,
            Ok(Err(error)) => panic!("the configuration is refused: {error}"),
            Err(why) => panic!("the filter failed over its configuration: {why}"),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let gateway = &self.gateway;
        gateway.now.set(gateway.now.get() + time);
        gateway.wall.set(gateway.wall.get() + time);
    }

    /// The time of day, since 1970. A test begins at 2026-01-01T00:00:00Z.
    pub fn now(&self) -> Duration {
        self.gateway.wall.get()
    }

    /// Only these Services exist from now on, `service:port`.
    pub fn services(&self, services: &[&str]) {
        self.gateway.terms.borrow_mut().services = Some(owned(services));
    }

    /// The grant `backends`: it may reroute only to these from now on, `service:port`.
    pub fn grant_backends(&self, backends: &[&str]) {
        self.gateway.terms.borrow_mut().backends = Some(owned(backends));
    }

    /// Only these endpoints can keep a session from now on.
    pub fn endpoints(&self, endpoints: &[&str]) {
        self.gateway.terms.borrow_mut().endpoints = Some(owned(endpoints));
    }

    /// The grant `keyValue`: how many bytes it may keep.
    pub fn grant_key_value(&self, max_bytes: usize) {
        self.gateway.terms.borrow_mut().value_bytes = Some(max_bytes);
    }

    /// What another server answers to requests for a URL. Others are denied.
    pub fn server(&self, url: &str, answer: Result<Incoming, HttpError>) {
        let mut servers = self.gateway.servers.borrow_mut();
        servers.retain(|(known, _)| known != url);
        servers.push((url.to_owned(), answer));
    }

    /// The lines that it has written.
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.gateway.lines.borrow().clone()
    }

    /// The series that it counts.
    pub fn metrics(&self) -> Vec<Sample> {
        self.gateway.metrics.borrow().samples().to_vec()
    }

    /// Runs a hook. One that fails is undone.
    fn run<V>(
        &self,
        phase: Phase,
        mut exchange: Exchange,
        hook: impl FnOnce(&F) -> crate::Result<V>,
    ) -> (Exchange, Result<V, String>) {
        exchange.begin();
        let call = || hook(&self.filter).map_err(|failure| failure.to_string());
        let (exchange, done) = self.gateway.call(phase, Some(exchange), call);
        #[expect(clippy::expect_used, reason = "a call gives back what it was lent")]
        let mut exchange = exchange.expect("the exchange that was lent");
        let done = done.and_then(|done| done);
        if done.is_err() {
            exchange.undo();
        }
        (exchange, done)
    }
}

fn owned(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}
