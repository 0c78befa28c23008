//! The hooks: one call each, whose failure leaves the exchange as it was.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use proxy::filter::{
    self, Change, Exchange, FieldError, Message, RequestVerdict, ResponseVerdict, Spent,
};

use crate::{
    bindings::portcullis::filter::types::{
        LocalResponse, RequestVerdict as Asked, ResponseVerdict as Answered,
    },
    component::Hook,
    failure::Failure,
    host::Phase,
    instance::{Call, Instances, Terms},
    limits::CALLS,
    plugin::Attachment,
};

impl Instances {
    /// Calls the request hook. Without one this costs nothing.
    pub fn on_request(
        &mut self,
        attachment: &Arc<Attachment>,
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<RequestVerdict, Failure>) {
        if !attachment.has(Hook::Request) {
            return (exchange, Ok(RequestVerdict::Next));
        }
        let id = attachment.id();
        let ask = |call: &mut Call<'_>| {
            let handle = call.request_handle();
            let Some(hook) = call.request else {
                return Ok(Asked::Next);
            };
            hook.call_on_request(&mut *call.store, id, handle)
        };
        let decide = |verdict| match verdict {
            Asked::Next => Ok(RequestVerdict::Next),
            Asked::Respond(answer) => local(answer).map(RequestVerdict::Respond),
        };
        self.run(attachment, Phase::Request, exchange, ask, decide)
    }

    /// Calls the response hook, once there is a response. Without one this costs nothing.
    pub fn on_response(
        &mut self,
        attachment: &Arc<Attachment>,
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<ResponseVerdict, Failure>) {
        if !attachment.has(Hook::Response) || exchange.response.is_none() {
            return (exchange, Ok(ResponseVerdict::Next));
        }
        let id = attachment.id();
        let ask = |call: &mut Call<'_>| {
            let (request, response) = (call.request_handle(), call.response_handle());
            let Some(hook) = call.response else {
                return Ok(Answered::Next);
            };
            hook.call_on_response(&mut *call.store, id, request, response)
        };
        let decide = |verdict| match verdict {
            Answered::Next => Ok(ResponseVerdict::Next),
            Answered::Replace(answer) => local(answer).map(ResponseVerdict::Replace),
        };
        self.run(attachment, Phase::Response, exchange, ask, decide)
    }

    fn run<G, V>(
        &mut self,
        attachment: &Arc<Attachment>,
        phase: Phase,
        mut exchange: Box<Exchange>,
        ask: impl FnOnce(&mut Call<'_>) -> wasmtime::Result<G>,
        decide: impl FnOnce(G) -> Result<V, Failure>,
    ) -> (Box<Exchange>, Result<V, Failure>) {
        if !attachment.breaker().admits() {
            return (exchange, Err(Failure::Open));
        }
        let mut instance = match self.take(attachment) {
            Ok(instance) => instance,
            Err(failure) => {
                attachment.breaker().failed();
                return (exchange, Err(failure));
            }
        };

        exchange.begin();
        let acting = Some(Arc::clone(attachment));
        let limits = attachment.plugin().limits();
        let terms = Terms {
            phase,
            time: limits.time,
            calls: CALLS,
        };
        let verdict = instance.call(terms, acting, Some(exchange), ask);
        #[expect(
            clippy::expect_used,
            reason = "what is lent before a call is only ever taken back here"
        )]
        let mut exchange = instance.take_back().expect("the exchange that was lent");

        // After a failure the instance is dropped, and what it did to the exchange undone.
        match verdict.and_then(decide) {
            Ok(verdict) => {
                self.keep(attachment, instance);
                (exchange, Ok(verdict))
            }
            Err(failure) => {
                exchange.undo();
                attachment.breaker().failed();
                (exchange, Err(failure))
            }
        }
    }
}

/// An answer made by a filter, under the same rules as any other field that it sets.
fn local(answer: LocalResponse) -> Result<Response<Bytes>, Failure> {
    let LocalResponse {
        status,
        headers,
        body,
    } = answer;
    let refuse = |what: &str, why: FieldError| {
        Failure::trap(format!("its answer cannot be sent: {what}: {why}"))
    };
    if body.len() > BODY {
        return Err(refuse("the body", FieldError::TooLarge));
    }
    let status = filter::final_status(status).map_err(|why| refuse("the status", why))?;
    let (mut fields, mut spent) = (HeaderMap::new(), Spent::default());
    for header in headers {
        let checked = filter::name(Message::Response, Change::Add, &header.name)
            .and_then(|name| Ok((name, filter::value(&header.value)?)))
            .and_then(|(name, value)| {
                spent.charge(name.as_str().len() + value.len())?;
                Ok((name, value))
            });
        let (name, value) = checked.map_err(|why| refuse("a field", why))?;
        fields.append(name, value);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Ok(response)
}

/// The largest body of an answer made by a filter.
const BODY: usize = 1 << 20;
