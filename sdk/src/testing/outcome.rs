//! What became of a request and of its response.

use crate::{
    BodyVerdict, ChunkVerdict, Filter, Header, LocalResponse, Request, RequestVerdict, Response,
    ResponseVerdict,
    memory::{self, Exchange, Message, Phase},
    sys,
    testing::{RequestBuilder, ResponseBuilder, TestFilter},
};

/// What the request hook made of a request. The request goes on for as long as this lives: permits that
/// the hook acquired return when it is dropped.
#[derive(Debug)]
pub struct Outcome<'f, F> {
    filter: &'f TestFilter<F>,
    exchange: Exchange,
    verdict: Result<RequestVerdict, String>,
}

/// What the response hook made of a response.
#[derive(Debug)]
pub struct ResponseOutcome<'f, F> {
    filter: &'f TestFilter<F>,
    exchange: Exchange,
    verdict: Result<ResponseVerdict, String>,
}

impl<'f, F: Filter> Outcome<'f, F> {
    pub(super) fn of(filter: &'f TestFilter<F>, request: RequestBuilder) -> Self {
        let mut exchange = request.exchange();
        if filter.gateway.settles(&mut exchange) {
            return Self::seen_by_none(filter, exchange);
        }
        let (mut exchange, verdict) = filter.run(Phase::Request, exchange, |filter| {
            filter.on_request(&mut Request(sys::Request))
        });
        // An answer that cannot be sent is a failure of the hook.
        let sent = match verdict {
            Ok(RequestVerdict::Respond(answer)) => match memory::local(&answer) {
                Ok(_) => Ok(RequestVerdict::Respond(answer)),
                Err(why) => Err(why),
            },
            other => other,
        };
        if sent.is_err() {
            exchange.undo();
        }
        Self {
            filter,
            exchange,
            verdict: sent,
        }
    }

    pub(super) fn unseen(filter: &'f TestFilter<F>, request: RequestBuilder) -> Self {
        Self::seen_by_none(filter, request.exchange())
    }

    fn seen_by_none(filter: &'f TestFilter<F>, exchange: Exchange) -> Self {
        Self {
            filter,
            exchange,
            verdict: Ok(RequestVerdict::Next),
        }
    }

    /// What the hook decided. Panics where it failed.
    #[expect(clippy::panic, reason = "it is called in tests only")]
    pub fn verdict(&self) -> &RequestVerdict {
        match &self.verdict {
            Ok(verdict) => verdict,
            Err(why) => panic!("the request hook failed: {why}"),
        }
    }

    /// Whether the request goes on.
    pub fn passes(&self) -> bool {
        *self.verdict() == RequestVerdict::Next
    }

    /// The hook's own answer. Panics where it made none.
    #[expect(clippy::panic, reason = "it is called in tests only")]
    pub fn answer(&self) -> &LocalResponse {
        match self.verdict() {
            RequestVerdict::Respond(answer) => answer,
            RequestVerdict::Next => panic!("the request goes on"),
        }
    }

    /// Why the hook failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.verdict.as_ref().err().map(String::as_str)
    }

    /// The first value of a field of the request, as it goes on, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.exchange, Message::Request, name)
    }

    /// All fields of the request.
    pub fn headers(&self) -> Vec<Header> {
        headers(&self.exchange, Message::Request)
    }

    /// Path and query of the request.
    pub fn path(&self) -> String {
        let path = self.exchange.state.request.uri.path_and_query();
        path.map_or("/", |path| path.as_str()).to_owned()
    }

    /// The backend that it is sent to instead, if it is.
    pub fn backend(&self) -> Option<&str> {
        self.exchange.state.steering.backend.as_deref()
    }

    /// The endpoint that it is pinned to, and whether strictly.
    pub fn pin(&self) -> Option<(&str, bool)> {
        let pin = self.exchange.state.steering.pin.as_ref();
        pin.map(|pin| (pin.endpoint.as_str(), pin.strict))
    }

    /// The key by which its endpoint is chosen.
    pub fn hash_key(&self) -> Option<&[u8]> {
        self.exchange.state.steering.hash.as_deref()
    }

    /// Sends the request's body through the hook for bodies. Panics where it fails.
    pub fn body(&mut self, body: &[u8]) -> BodyVerdict {
        let body = body.to_vec();
        run(self.filter, &mut self.exchange, Phase::Request, |filter| {
            filter.on_request_body(&mut Request(sys::Request), body)
        })
    }

    /// Sends a response to it through the response hook.
    pub fn response(self, response: ResponseBuilder) -> ResponseOutcome<'f, F> {
        let Self {
            filter,
            mut exchange,
            ..
        } = self;
        exchange.state.response = Some(response.parts);
        exchange.answered_by = response.answered_by;
        if exchange.goes_on() {
            return ResponseOutcome {
                filter,
                exchange,
                verdict: Ok(ResponseVerdict::Next),
            };
        }
        let (mut exchange, verdict) = filter.run(Phase::Response, exchange, |filter| {
            filter.on_response(&Request(sys::Request), &mut Response(sys::Response))
        });
        let sent = match verdict {
            Ok(ResponseVerdict::Replace(answer)) => match memory::local(&answer) {
                Ok(_) => Ok(ResponseVerdict::Replace(answer)),
                Err(why) => Err(why),
            },
            other => other,
        };
        if sent.is_err() {
            exchange.undo();
        }
        ResponseOutcome {
            filter,
            exchange,
            verdict: sent,
        }
    }
}

impl<F: Filter> ResponseOutcome<'_, F> {
    /// What the hook decided. Panics where it failed.
    #[expect(clippy::panic, reason = "it is called in tests only")]
    pub fn verdict(&self) -> &ResponseVerdict {
        match &self.verdict {
            Ok(verdict) => verdict,
            Err(why) => panic!("the response hook failed: {why}"),
        }
    }

    /// What the hook sends instead. Panics where it sends nothing else.
    #[expect(clippy::panic, reason = "it is called in tests only")]
    pub fn answer(&self) -> &LocalResponse {
        match self.verdict() {
            ResponseVerdict::Replace(answer) => answer,
            ResponseVerdict::Next => panic!("the response goes on"),
        }
    }

    /// Why the hook failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.verdict.as_ref().err().map(String::as_str)
    }

    /// The response's status.
    pub fn status(&self) -> u16 {
        let response = self.exchange.state.response.as_ref();
        response.map_or(0, |response| response.status.as_u16())
    }

    /// The first value of a field of the response, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.exchange, Message::Response, name)
    }

    /// All fields of the response.
    pub fn headers(&self) -> Vec<Header> {
        headers(&self.exchange, Message::Response)
    }

    /// Sends the response's body through the hook for bodies. Panics where it fails.
    pub fn body(&mut self, body: &[u8]) -> BodyVerdict {
        let body = body.to_vec();
        run(self.filter, &mut self.exchange, Phase::Response, |filter| {
            filter.on_response_body(&Request(sys::Request), &mut Response(sys::Response), body)
        })
    }

    /// Sends a piece of the response's body through the hook for pieces. Panics where it fails.
    pub fn chunk(&mut self, chunk: &[u8], last: bool) -> ChunkVerdict {
        let chunk = chunk.to_vec();
        run(self.filter, &mut self.exchange, Phase::Response, |filter| {
            let (request, response) = (Request(sys::Request), Response(sys::Response));
            filter.on_response_chunk(&request, &response, chunk, last)
        })
    }

    /// Sends a whole body piece by piece; what the client gets, none where it is broken off.
    pub fn stream(&mut self, chunks: &[&[u8]]) -> Option<Vec<u8>> {
        let mut sent = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            match self.chunk(chunk, index + 1 == chunks.len()) {
                ChunkVerdict::Pass => sent.extend_from_slice(chunk),
                ChunkVerdict::Replace(bytes) => sent.extend(bytes),
                ChunkVerdict::Drop => {}
                ChunkVerdict::Abort => return None,
            }
        }
        Some(sent)
    }
}

#[expect(clippy::panic, reason = "it is called in tests only")]
fn run<F: Filter, V>(
    filter: &TestFilter<F>,
    exchange: &mut Exchange,
    phase: Phase,
    hook: impl FnOnce(&F) -> crate::Result<V>,
) -> V {
    // A call takes the exchange and gives it back: meanwhile an empty one stands here.
    let empty = super::get("/").exchange();
    let lent = std::mem::replace(exchange, empty);
    let (back, verdict) = filter.run(phase, lent, hook);
    *exchange = back;
    match verdict {
        Ok(verdict) => verdict,
        Err(why) => panic!("the hook failed: {why}"),
    }
}

fn header<'e>(exchange: &'e Exchange, of: Message, name: &str) -> Option<&'e str> {
    let value = exchange.fields(of)?.get(name)?;
    std::str::from_utf8(value.as_bytes()).ok()
}

fn headers(exchange: &Exchange, of: Message) -> Vec<Header> {
    let fields = exchange.fields(of).into_iter().flatten();
    fields
        .map(|(name, value)| Header::new(name.as_str(), value))
        .collect()
}
