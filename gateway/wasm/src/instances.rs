//! The hot instances of one worker.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use proxy::filter::{Exchange, RequestVerdict, ResponseVerdict};
use route::Isolation;

use crate::{
    attachment::Attachment,
    component::Hook,
    failure::Failure,
    filter::{Ask, OnRequest, OnResponse, Ran, run_here},
    instance::Instance,
};

/// The hot instances of one worker, by plugin and namespace: one each, and more only where several
/// calls wait at once. They hold the configurations of all attachments there.
#[derive(Default)]
pub struct Instances {
    /// Those that were called last are called next.
    #[expect(clippy::vec_box, reason = "they are moved in and out at each call")]
    hot: HashMap<u64, Vec<Box<Instance>>, RandomState>,
}

impl Instances {
    /// No instance yet: each is made when it is first needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hot.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets go what has not been called since the last time, and configurations of attachments that
    /// are gone. To be called now and then, between requests.
    pub fn tidy(&mut self) {
        self.hot.retain(|_, spare| {
            spare.retain_mut(|instance| instance.tidy());
            !spare.is_empty()
        });
    }

    /// Calls the request hook on this thread. Without one this costs nothing.
    pub fn on_request(
        &mut self,
        attachment: &Arc<Attachment>,
        mut exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<RequestVerdict, Failure>) {
        if !attachment.has(Hook::Request) || attachment.settles_request(&mut exchange) {
            return (exchange, Ok(RequestVerdict::Next));
        }
        self.ask(OnRequest, attachment, exchange)
    }

    /// Calls the response hook on this thread, once there is a response. Without one this costs
    /// nothing.
    pub fn on_response(
        &mut self,
        attachment: &Arc<Attachment>,
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<ResponseVerdict, Failure>) {
        if !attachment.has(Hook::Response)
            || exchange.response.is_none()
            || !attachment.looks_at_response(&exchange)
        {
            return (exchange, Ok(ResponseVerdict::Next));
        }
        self.ask(OnResponse, attachment, exchange)
    }

    fn ask<A: Ask>(
        &mut self,
        ask: A,
        attachment: &Arc<Attachment>,
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<A::Verdict, Failure>) {
        if !attachment.breaker().admits() {
            return (exchange, Err(Failure::Open));
        }
        let spare = self.take(attachment);
        let Ran {
            exchange,
            instance,
            verdict,
        } = run_here(ask, attachment, exchange, spare);
        self.keep(attachment, instance);
        if let Err(failure) = &verdict {
            attachment.failed(failure, &exchange);
        }
        (exchange, verdict)
    }

    /// One that was called before, if there is one. It is not among these until it is kept again.
    pub(crate) fn take(&mut self, attachment: &Attachment) -> Option<Box<Instance>> {
        self.hot.get_mut(&attachment.place())?.pop()
    }

    /// After a call that went well.
    pub(crate) fn keep(&mut self, attachment: &Attachment, instance: Option<Box<Instance>>) {
        let shared = attachment.plugin().isolation() == Isolation::Shared;
        let Some(instance) = instance.filter(|instance| shared && !instance.is_worn()) else {
            return;
        };
        let spare = self.hot.entry(attachment.place()).or_default();
        if spare.len() < SPARE {
            spare.push(instance);
        }
    }
}

/// How many instances of a plugin and namespace wait for their next call.
const SPARE: usize = 16;
