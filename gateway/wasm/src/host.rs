//! What a guest can reach: the data of its store, and the calls that it may make.

mod clock;
mod cookies;
pub(crate) mod handles;
mod http_client;
mod interest;
mod key_value;
mod log;
mod metrics;
mod rate_limit;
mod request;
mod response;
mod session;
mod shared;

use std::sync::Arc;

use proxy::filter::{Exchange, FieldError};
use wasmtime::{
    Error, Result,
    component::{HasSelf, Linker, Resource},
};

pub(crate) use handles::{BucketHandle, RequestHandle, ResponseHandle};
pub(crate) use http_client::SENDS;
pub(crate) use interest::Interest;
pub(crate) use key_value::Values;
pub(crate) use metrics::Metrics;
pub use metrics::{Counted, Sample};
pub(crate) use rate_limit::Rates;
pub use shared::Shared;

use crate::{
    attachment::Attachment,
    bindings::portcullis::filter as wit,
    clock::Clock,
    component::Capability,
    limits::{CALLS, Deadline, Limiter},
};

/// What the guest is being called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing that a capability could act for.
    #[default]
    Describe,
    Configure,
    Request,
    RequestBody,
    Response,
    ResponseBody,
    ResponseStream,
}

/// The data of an instance's store.
pub(crate) struct Guest {
    pub(crate) limiter: Limiter,
    pub(crate) deadline: Deadline,
    pub(crate) clock: Arc<Clock>,
    name: Arc<str>,
    phase: Phase,
    /// Which call this is: a handle of another call is not honoured.
    call: u32,
    calls_left: u32,
    lines_left: u32,
    sends_left: u32,
    /// Whether this call can wait.
    waits: bool,
    exchange: Option<Box<Exchange>>,
    attachment: Option<Arc<Attachment>>,
    buckets: Vec<Option<Arc<rate_limit::Bucket>>>,
    /// What the configuration that it has just been given does without its request hook, if it said so.
    interest: Option<Interest>,
    /// What ended the guest, where the host did.
    verdict: Option<&'static str>,
    /// The last line of this call that is an error.
    said: Option<String>,
}

impl Guest {
    pub(crate) fn new(name: Arc<str>, memory: usize, clock: &Arc<Clock>) -> Self {
        Self {
            limiter: Limiter::new(memory),
            deadline: Deadline::default(),
            clock: Arc::clone(clock),
            name,
            phase: Phase::Describe,
            call: 0,
            calls_left: 0,
            lines_left: 0,
            sends_left: 0,
            waits: false,
            exchange: None,
            attachment: None,
            buckets: Vec::new(),
            interest: None,
            verdict: None,
            said: None,
        }
    }

    /// Before a call. Returns the number that its handles carry.
    pub(crate) fn begin(
        &mut self,
        (phase, waits): (Phase, bool),
        attachment: Option<Arc<Attachment>>,
        exchange: Option<Box<Exchange>>,
    ) -> u32 {
        self.phase = phase;
        self.waits = waits;
        self.call = self.call.wrapping_add(1);
        self.calls_left = CALLS;
        self.lines_left = log::LINES;
        self.sends_left = SENDS;
        self.attachment = attachment;
        self.exchange = exchange;
        self.verdict = None;
        self.said = None;
        self.call
    }

    /// After a call: it acts for nobody, so that no attachment lives on in an idle instance.
    pub(crate) fn end(&mut self) {
        self.attachment = None;
    }

    /// After `configure`: what is done without the request hook, if it said so.
    pub(crate) fn interest(&mut self) -> Option<Interest> {
        self.interest.take()
    }

    /// Gives back what was lent.
    pub(crate) fn take(&mut self) -> Option<Box<Exchange>> {
        self.exchange.take()
    }

    /// Why the host ended the guest, if it did.
    pub(crate) fn verdict(&self) -> Option<&'static str> {
        self.verdict
    }

    /// The last error that it logged.
    pub(crate) fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Ends the guest.
    fn stop(&mut self, why: &'static str) -> Error {
        self.verdict = Some(why);
        Error::msg(why)
    }

    /// Counts a call of the host.
    fn count(&mut self) -> Result<()> {
        let Some(left) = self.calls_left.checked_sub(1) else {
            return Err(self.stop("a hook may not call the gateway so often"));
        };
        self.calls_left = left;
        Ok(())
    }

    /// The attachment that a capability acts for.
    fn acting(&mut self) -> Result<&Arc<Attachment>> {
        self.count()?;
        if self.attachment.is_none() {
            return Err(self.stop("`describe` and `release` may use `log` and `clock` only"));
        }
        self.attachment
            .as_ref()
            .ok_or_else(|| Error::msg("no attachment"))
    }

    /// The exchange behind a handle, with the number of whom it is lent to.
    fn exchange(&mut self, call: u32) -> Result<(&mut Exchange, u32)> {
        self.count()?;
        let number = self.attachment.as_ref().map(|own| own.number());
        let lent = self.exchange.is_some() && call == self.call;
        if !lent {
            return Err(self.stop("a request was used after the call that it was lent for"));
        }
        match (self.exchange.as_deref_mut(), number) {
            (Some(exchange), Some(number)) => Ok((exchange, number)),
            (None, _) | (_, None) => Err(Error::msg("no exchange")),
        }
    }

    fn request(&mut self, handle: &Resource<RequestHandle>) -> Result<(&mut Exchange, u32)> {
        self.exchange(handle.rep())
    }

    /// The exchange, where its request may be changed.
    fn request_mut(&mut self, handle: &Resource<RequestHandle>) -> Result<Option<&mut Exchange>> {
        let open = self.phase == Phase::Request;
        let (exchange, _) = self.request(handle)?;
        Ok(open.then_some(exchange))
    }

    fn response(&mut self, handle: &Resource<ResponseHandle>) -> Result<&mut Exchange> {
        self.exchange(handle.rep()).map(|(exchange, _)| exchange)
    }

    /// The exchange, where its response may be changed: before its head is sent.
    fn response_mut(&mut self, handle: &Resource<ResponseHandle>) -> Result<Option<&mut Exchange>> {
        let open = matches!(self.phase, Phase::Response | Phase::ResponseBody);
        let exchange = self.response(handle)?;
        Ok(open.then_some(exchange))
    }
}

impl wit::types::Host for Guest {}

/// A refusal in the guest's terms.
fn refusal(error: FieldError) -> wit::types::HeaderError {
    match error {
        FieldError::InvalidName => wit::types::HeaderError::InvalidName,
        FieldError::InvalidValue => wit::types::HeaderError::InvalidValue,
        FieldError::Forbidden => wit::types::HeaderError::Forbidden,
        FieldError::TooLarge => wit::types::HeaderError::TooLarge,
        FieldError::TooMany => wit::types::HeaderError::TooMany,
    }
}

/// Links what every guest has, and the capabilities that it was granted.
pub(crate) fn link(linker: &mut Linker<Guest>, granted: &[Capability]) -> Result<()> {
    type Own = HasSelf<Guest>;
    wit::types::add_to_linker::<_, Own>(linker, |guest| guest)?;
    wit::log::add_to_linker::<_, Own>(linker, |guest| guest)?;
    wit::clock::add_to_linker::<_, Own>(linker, |guest| guest)?;
    wit::interest::add_to_linker::<_, Own>(linker, |guest| guest)?;
    for capability in granted {
        match capability {
            Capability::Random => wit::random::add_to_linker::<_, Own>(linker, |guest| guest)?,
            Capability::Metrics => wit::metrics::add_to_linker::<_, Own>(linker, |guest| guest)?,
            Capability::RateLimit => {
                wit::rate_limit::add_to_linker::<_, Own>(linker, |guest| guest)?;
            }
            Capability::KeyValue => {
                wit::key_value::add_to_linker::<_, Own>(linker, |guest| guest)?;
            }
            Capability::HttpClient => {
                wit::http_client::add_to_linker::<_, Own>(linker, |guest| guest)?;
            }
        }
    }
    Ok(())
}
