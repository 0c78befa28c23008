//! The hooks: one call each, whose failure leaves the exchange as it was.

mod verdict;

use std::sync::Arc;

use bytes::Bytes;
use proxy::filter::{BodyVerdict, ChunkVerdict, Exchange, RequestVerdict, ResponseVerdict};
use wasmtime::component::{ComponentNamedList, Lift, Lower};

use crate::{
    attachment::Attachment,
    bindings::portcullis::filter::types as wit,
    exports::{self, Function, Functions},
    failure::Failure,
    host::Phase,
    instance::{Handles, Instance, Place, Terms, here},
};
use verdict::{local, replaced};

/// A hook with what it is given, besides the exchange.
pub(crate) trait Ask: Send + 'static {
    /// What its function takes.
    type Params: ComponentNamedList + Lower + Send + Sync + 'static;
    /// What its function returns.
    type Given: Lift + Send + Sync + 'static;
    /// What that means.
    type Verdict: Send + 'static;
    const PHASE: Phase;

    fn function(functions: &Functions) -> Option<Function<Self::Params, Self::Given>>;
    fn params(self, id: u32, handles: Handles) -> Self::Params;
    fn verdict(given: Self::Given) -> Result<Self::Verdict, Failure>;
}

pub(crate) struct OnRequest;

impl Ask for OnRequest {
    type Params = exports::OnRequest;
    type Given = wit::RequestVerdict;
    type Verdict = RequestVerdict;
    const PHASE: Phase = Phase::Request;

    fn function(functions: &Functions) -> Option<Function<Self::Params, Self::Given>> {
        functions.request
    }

    fn params(self, id: u32, handles: Handles) -> Self::Params {
        (id, handles.request())
    }

    fn verdict(given: Self::Given) -> Result<Self::Verdict, Failure> {
        match given {
            wit::RequestVerdict::Next => Ok(RequestVerdict::Next),
            wit::RequestVerdict::Respond(answer) => local(answer).map(RequestVerdict::Respond),
        }
    }
}

pub(crate) struct OnResponse;

impl Ask for OnResponse {
    type Params = exports::OnResponse;
    type Given = wit::ResponseVerdict;
    type Verdict = ResponseVerdict;
    const PHASE: Phase = Phase::Response;

    fn function(functions: &Functions) -> Option<Function<Self::Params, Self::Given>> {
        functions.response
    }

    fn params(self, id: u32, handles: Handles) -> Self::Params {
        (id, handles.request(), handles.response())
    }

    fn verdict(given: Self::Given) -> Result<Self::Verdict, Failure> {
        match given {
            wit::ResponseVerdict::Next => Ok(ResponseVerdict::Next),
            wit::ResponseVerdict::Replace(answer) => local(answer).map(ResponseVerdict::Replace),
        }
    }
}

pub(crate) struct OnRequestBody(pub(crate) Bytes);

impl Ask for OnRequestBody {
    type Params = exports::OnRequestBody;
    type Given = wit::BodyVerdict;
    type Verdict = BodyVerdict;
    const PHASE: Phase = Phase::RequestBody;

    fn function(functions: &Functions) -> Option<Function<Self::Params, Self::Given>> {
        functions.request_body
    }

    fn params(self, id: u32, handles: Handles) -> Self::Params {
        (id, handles.request(), self.0)
    }

    fn verdict(given: Self::Given) -> Result<Self::Verdict, Failure> {
        whole(given)
    }
}

pub(crate) struct OnResponseBody(pub(crate) Bytes);

impl Ask for OnResponseBody {
    type Params = exports::OnResponseBody;
    type Given = wit::BodyVerdict;
    type Verdict = BodyVerdict;
    const PHASE: Phase = Phase::ResponseBody;

    fn function(functions: &Functions) -> Option<Function<Self::Params, Self::Given>> {
        functions.response_body
    }

    fn params(self, id: u32, handles: Handles) -> Self::Params {
        (id, handles.request(), handles.response(), self.0)
    }

    fn verdict(given: Self::Given) -> Result<Self::Verdict, Failure> {
        whole(given)
    }
}

pub(crate) struct OnChunk {
    pub(crate) chunk: Bytes,
    pub(crate) last: bool,
}

impl Ask for OnChunk {
    type Params = exports::OnResponseChunk;
    type Given = wit::ChunkVerdict;
    type Verdict = ChunkVerdict;
    const PHASE: Phase = Phase::ResponseStream;

    fn function(functions: &Functions) -> Option<Function<Self::Params, Self::Given>> {
        functions.response_stream
    }

    fn params(self, id: u32, handles: Handles) -> Self::Params {
        let (request, response) = (handles.request(), handles.response());
        (id, request, response, self.chunk, self.last)
    }

    fn verdict(given: Self::Given) -> Result<Self::Verdict, Failure> {
        match given {
            wit::ChunkVerdict::Pass => Ok(ChunkVerdict::Pass),
            wit::ChunkVerdict::Replace(chunk) => replaced(chunk).map(ChunkVerdict::Replace),
            wit::ChunkVerdict::Drop => Ok(ChunkVerdict::Drop),
            wit::ChunkVerdict::Abort => Ok(ChunkVerdict::Abort),
        }
    }
}

fn whole(given: wit::BodyVerdict) -> Result<BodyVerdict, Failure> {
    match given {
        wit::BodyVerdict::Next => Ok(BodyVerdict::Next),
        wit::BodyVerdict::Replace(body) => replaced(body).map(BodyVerdict::Replace),
        wit::BodyVerdict::Respond(answer) => local(answer).map(BodyVerdict::Respond),
    }
}

/// What came of a call.
pub(crate) struct Ran<V> {
    pub(crate) exchange: Box<Exchange>,
    /// The instance, unless it failed.
    pub(crate) instance: Option<Box<Instance>>,
    pub(crate) verdict: Result<V, Failure>,
}

/// Calls a hook on this stack, on the spare instance if there is one. Most calls come this way: it is
/// no future, as moving one costs as much as the call.
pub(crate) fn run_here<A: Ask>(
    ask: A,
    attachment: &Arc<Attachment>,
    exchange: Box<Exchange>,
    spare: Option<Box<Instance>>,
) -> Ran<A::Verdict> {
    let mut instance = match spare {
        Some(instance) if instance.knows(attachment) => instance,
        spare => match here(Instance::ready(spare, attachment, Place::Here)) {
            Ok(instance) => instance,
            Err(failure) => return Ran::without_instance(exchange, failure),
        },
    };
    let (terms, id) = (terms::<A>(attachment, Place::Here), attachment.id());
    let given = instance.call_straight(
        terms,
        Some(Arc::clone(attachment)),
        Some(begun(exchange)),
        |functions, handles| {
            A::function(functions).map(|function| (function, ask.params(id, handles)))
        },
    );
    ended::<A>(instance, given)
}

/// Calls a hook where it may wait, on the spare instance if there is one.
pub(crate) async fn run<A: Ask>(
    ask: A,
    attachment: &Arc<Attachment>,
    exchange: Box<Exchange>,
    spare: Option<Box<Instance>>,
    place: Place,
) -> Ran<A::Verdict> {
    let mut instance = match Instance::ready(spare, attachment, place).await {
        Ok(instance) => instance,
        Err(failure) => return Ran::without_instance(exchange, failure),
    };
    let (terms, id) = (terms::<A>(attachment, place), attachment.id());
    let call = instance.call(
        terms,
        Some(Arc::clone(attachment)),
        Some(begun(exchange)),
        |functions, handles| {
            A::function(functions).map(|function| (function, ask.params(id, handles)))
        },
    );
    let given = call.await;
    ended::<A>(instance, given)
}

fn terms<A: Ask>(attachment: &Attachment, place: Place) -> Terms {
    let plugin = attachment.plugin();
    Terms {
        phase: A::PHASE,
        place,
        time: plugin.limits().time,
        wall: plugin.wall(),
    }
}

fn begun(mut exchange: Box<Exchange>) -> Box<Exchange> {
    exchange.begin();
    exchange
}

/// After a call. Where it failed the instance is dropped, and what it did to the exchange undone.
fn ended<A: Ask>(mut instance: Box<Instance>, given: Result<A::Given, Failure>) -> Ran<A::Verdict> {
    #[expect(
        clippy::expect_used,
        reason = "what is lent before a call is only ever taken back here"
    )]
    let mut exchange = instance.take_back().expect("the exchange that was lent");
    match given.and_then(|given| A::verdict(given).inspect_err(|_| instance.failed())) {
        Ok(verdict) => Ran {
            exchange,
            instance: Some(instance),
            verdict: Ok(verdict),
        },
        Err(failure) => {
            exchange.undo();
            Ran::without_instance(exchange, failure)
        }
    }
}

impl<V> Ran<V> {
    fn without_instance(exchange: Box<Exchange>, failure: Failure) -> Self {
        Self {
            exchange,
            instance: None,
            verdict: Err(failure),
        }
    }
}
