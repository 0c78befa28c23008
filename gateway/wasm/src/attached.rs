//! An attachment as the proxy's filter: where its calls run, and what its failures become.

mod stream;

use std::{cell::RefCell, sync::Arc};

use bytes::Bytes;
use proxy::filter::{
    Asked, BodyVerdict, Exchange, Fault, Filter, Hooks, Outcome, RequestVerdict, ResponseStream,
    ResponseVerdict,
};
use route::OnError;

use crate::{
    attachment::Attachment,
    filter::{Ask, OnRequest, OnRequestBody, OnResponse, OnResponseBody, Ran, run_here},
    instance::Instance,
    instances::Instances,
};
use stream::Stream;

thread_local! {
    /// The instances of this worker. They are taken out for a call, so that nothing holds this while
    /// a guest runs.
    static HOT: RefCell<Instances> = RefCell::default();
}

/// Lets go of this thread's instances that idle, and of configurations that are gone. To be called
/// now and then on each worker.
pub fn tidy() {
    let mut instances = HOT.take();
    instances.tidy();
    HOT.set(instances);
}

/// An attachment, with what becomes of requests when it fails.
#[derive(Clone, Debug)]
pub struct Attached {
    attachment: Arc<Attachment>,
    on_error: OnError,
}

impl Attached {
    /// To be put into chains.
    pub fn new(attachment: Arc<Attachment>, on_error: OnError) -> Self {
        Self {
            attachment,
            on_error,
        }
    }

    /// The attachment.
    pub fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    fn ask<A: Ask>(&self, ask: A, exchange: Box<Exchange>) -> Asked<A::Verdict> {
        let attachment = &self.attachment;
        let spare = HOT.with_borrow_mut(|hot| hot.take(attachment));
        call(
            ask,
            attachment,
            exchange,
            spare,
            |attachment, instance, _| {
                HOT.with_borrow_mut(|hot| hot.keep(attachment, instance));
            },
        )
    }
}

/// Calls a hook where the plugin's calls run, and gives the instance back if it is still good.
fn call<A: Ask>(
    ask: A,
    attachment: &Arc<Attachment>,
    exchange: Box<Exchange>,
    spare: Option<Box<Instance>>,
    keep: impl FnOnce(&Attachment, Option<Box<Instance>>, Option<Fault>) + 'static,
) -> Asked<A::Verdict> {
    // Not logged each time: the log says when the breaker opened.
    if !attachment.breaker().admits() {
        keep(attachment, spare, Some(Fault::Open));
        return Asked::Done((exchange, Err(Fault::Open)));
    }
    let plugin = attachment.plugin();
    let ready = || spare.as_ref().is_some_and(|spare| spare.knows(attachment));
    let aside = match plugin.aside() {
        Some(aside) => Some(Arc::clone(aside)),
        // Of most plugins one look tells, without one for the instance's configuration.
        None if !plugin.making().is_slow() || ready() => None,
        None => plugin.made_aside(),
    };
    let Some(aside) = aside else {
        let ran = run_here(ask, attachment, exchange, spare);
        return Asked::Done(outcome(attachment, ran, keep));
    };
    // Too many calls are not the fault of this one: the breaker does not hear of it.
    let admitted = match aside.admit(attachment) {
        Ok(admitted) => admitted,
        Err(failure) => {
            keep(attachment, spare, Some(failure.fault()));
            attachment.report(&failure, &exchange);
            return Asked::Done((exchange, Err(failure.fault())));
        }
    };
    let attachment = Arc::clone(attachment);
    Asked::Later(Box::pin(async move {
        let ran = aside.run(admitted, ask, Arc::clone(&attachment), exchange, spare);
        let ran = ran.await;
        outcome(&attachment, ran, keep)
    }))
}

fn outcome<V>(
    attachment: &Attachment,
    ran: Ran<V>,
    keep: impl FnOnce(&Attachment, Option<Box<Instance>>, Option<Fault>),
) -> Outcome<V> {
    let Ran {
        exchange,
        instance,
        verdict,
    } = ran;
    let verdict = verdict.map_err(|failure| {
        attachment.failed(&failure, &exchange);
        failure.fault()
    });
    keep(attachment, instance, verdict.as_ref().err().copied());
    (exchange, verdict)
}

impl Filter for Attached {
    fn hooks(&self) -> Hooks {
        self.attachment.hooks()
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    fn body_limit(&self) -> usize {
        self.attachment.plugin().limits().body
    }

    fn settles_request(&self, exchange: &mut Exchange) -> bool {
        self.attachment.settles_request(exchange)
    }

    fn looks_at_response(&self, exchange: &Exchange) -> bool {
        self.attachment.looks_at_response(exchange)
    }

    fn on_request(&self, exchange: Box<Exchange>) -> Asked<RequestVerdict> {
        if !self.attachment.hooks().request {
            return Asked::Done((exchange, Ok(RequestVerdict::Next)));
        }
        self.ask(OnRequest, exchange)
    }

    fn on_response(&self, exchange: Box<Exchange>) -> Asked<ResponseVerdict> {
        if !self.attachment.hooks().response || exchange.response.is_none() {
            return Asked::Done((exchange, Ok(ResponseVerdict::Next)));
        }
        self.ask(OnResponse, exchange)
    }

    fn on_request_body(&self, exchange: Box<Exchange>, body: Bytes) -> Asked<BodyVerdict> {
        if !self.attachment.hooks().request_body {
            return Asked::Done((exchange, Ok(BodyVerdict::Next)));
        }
        self.ask(OnRequestBody(body), exchange)
    }

    fn on_response_body(&self, exchange: Box<Exchange>, body: Bytes) -> Asked<BodyVerdict> {
        if !self.attachment.hooks().response_body || exchange.response.is_none() {
            return Asked::Done((exchange, Ok(BodyVerdict::Next)));
        }
        self.ask(OnResponseBody(body), exchange)
    }

    fn stream(&self) -> Box<dyn ResponseStream> {
        Box::new(Stream::new(Arc::clone(&self.attachment)))
    }
}
