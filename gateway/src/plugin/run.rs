//! One request through one filter, as it goes through a chain of the gateway.

use bytes::Bytes;
use http::response::Parts;
use proxy::filter::{
    BodyVerdict, ChunkVerdict, Exchange, Fault, Filter, RequestVerdict, ResponseVerdict,
};
use wasm::Attached;

use super::case::Case;

/// What came of it.
pub(super) struct Outcome {
    /// `next`, `respond`, `abort` or `fail`.
    pub(super) verdict: &'static str,
    /// Why, where it failed.
    pub(super) reason: String,
    /// The answer's head: the filter's own, or the backend's after the hooks.
    pub(super) answer: Option<Parts>,
    /// The answer's body: of a stream, what was sent for each piece.
    pub(super) body: Vec<Bytes>,
    /// The request as it goes on.
    pub(super) exchange: Option<Box<Exchange>>,
    pub(super) request_body: Bytes,
}

/// Why a run ends early.
enum End {
    Fault(Fault),
    /// The gateway refuses in the filter's place.
    Refused(&'static str),
    Abort,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A run so far.
struct Run<'f> {
    filter: &'f Attached,
    /// None while a hook has it.
    exchange: Option<Box<Exchange>>,
    request_body: Bytes,
    verdict: &'static str,
    body: Vec<Bytes>,
}

/// Sends the case's request, and its response.
pub(super) async fn once(filter: &Attached, case: &Case) -> anyhow::Result<Outcome> {
    let response = case.response.as_ref();
    let given = response
        .map(|response| Ok::<_, anyhow::Error>((response.head()?, response.pieces())))
        .transpose()?;
    let mut run = Run {
        filter,
        exchange: Some(case.request.exchange()?),
        request_body: case.request.whole(),
        verdict: "next",
        body: Vec::new(),
    };
    let end = run.run(given).await.err();
    let (verdict, reason) = match end {
        None => (run.verdict, String::new()),
        Some(End::Abort) => ("abort", String::new()),
        Some(End::Fault(fault)) => ("fail", fault.word().to_owned()),
        Some(End::Refused(word)) => ("fail", word.to_owned()),
    };
    // Of a failure nothing is sent but the gateway's own answer.
    let answer = match verdict {
        "fail" => None,
        _ => run.exchange.as_mut().and_then(|e| e.response.take()),
    };
    Ok(Outcome {
        verdict,
        reason,
        answer,
        body: run.body,
        exchange: run.exchange,
        request_body: run.request_body,
    })
}

impl Outcome {
    /// That of a filter which could not be configured.
    pub(super) fn refused(error: &anyhow::Error) -> Self {
        Self {
            verdict: "fail",
            reason: format!("plugin-config: {}", crate::described(error)),
            answer: None,
            body: Vec::new(),
            exchange: None,
            request_body: Bytes::new(),
        }
    }
}

impl Run<'_> {
    async fn run(&mut self, given: Option<(Parts, Vec<Bytes>)>) -> Result<(), End> {
        let own = self.request().await?;
        let (head, answered_by) = match (own, given) {
            (Some(own), _) => {
                self.verdict = "respond";
                (self.replace(own), None)
            }
            (None, Some((head, pieces))) => {
                self.body = pieces;
                (head, Some(("backend:80".into(), "endpoint".into())))
            }
            (None, None) => return Ok(()),
        };
        if let Some(exchange) = &mut self.exchange {
            exchange.response = Some(head);
            exchange.answered_by = answered_by;
        }
        self.response().await
    }

    /// The hooks of the request; the answer that one of them made.
    async fn request(&mut self) -> Result<Option<http::Response<Bytes>>, End> {
        let (filter, hooks) = (self.filter, self.filter.hooks());
        if let Some(exchange) = self
            .exchange
            .take_if(|own| hooks.request && !filter.settles_request(own))
        {
            let (back, verdict) = filter.on_request(exchange).answer().await;
            self.exchange = Some(back);
            if let RequestVerdict::Respond(own) = verdict? {
                return Ok(Some(own));
            }
        }
        if let Some(exchange) = self.exchange.take_if(|_| hooks.request_body) {
            let body = self.request_body.clone();
            if body.len() > filter.body_limit() {
                self.exchange = Some(exchange);
                return Err(End::Refused("body-too-large"));
            }
            let (back, verdict) = filter.on_request_body(exchange, body).answer().await;
            self.exchange = Some(back);
            match verdict? {
                BodyVerdict::Next => {}
                BodyVerdict::Replace(other) => self.request_body = other,
                BodyVerdict::Respond(own) => return Ok(Some(own)),
            }
        }
        Ok(None)
    }

    /// The hooks of a response, also of one that the filter made.
    async fn response(&mut self) -> Result<(), End> {
        let (filter, hooks) = (self.filter, self.filter.hooks());
        if let Some(exchange) = self
            .exchange
            .take_if(|own| hooks.response && filter.looks_at_response(own))
        {
            let (back, verdict) = filter.on_response(exchange).answer().await;
            self.exchange = Some(back);
            if let ResponseVerdict::Replace(own) = verdict? {
                self.answer(own);
            }
        }
        if let Some(exchange) = self.exchange.take_if(|_| hooks.response_body) {
            let body = Bytes::from(self.body.concat());
            if body.len() > filter.body_limit() {
                self.exchange = Some(exchange);
                return Err(End::Refused("response-too-large"));
            }
            let asked = filter.on_response_body(exchange, body.clone());
            let (back, verdict) = asked.answer().await;
            self.exchange = Some(back);
            match verdict? {
                BodyVerdict::Next => self.body = vec![body],
                BodyVerdict::Replace(other) => self.body = vec![other],
                BodyVerdict::Respond(own) => self.answer(own),
            }
        }
        if hooks.response_stream {
            self.stream().await?;
        }
        Ok(())
    }

    async fn stream(&mut self) -> Result<(), End> {
        let mut stream = self.filter.stream();
        let most = self.body.len().saturating_sub(1);
        for (index, piece) in self.body.iter_mut().enumerate() {
            let Some(exchange) = self.exchange.take() else {
                continue;
            };
            let asked = stream.chunk(exchange, piece.clone(), index == most);
            let (back, verdict) = asked.answer().await;
            self.exchange = Some(back);
            match verdict? {
                ChunkVerdict::Pass => {}
                ChunkVerdict::Replace(other) => *piece = other,
                ChunkVerdict::Drop => *piece = Bytes::new(),
                ChunkVerdict::Abort => {
                    self.body.truncate(index);
                    return Err(End::Abort);
                }
            }
        }
        Ok(())
    }

    /// Sends this in the place of the response.
    fn answer(&mut self, own: http::Response<Bytes>) {
        let head = self.replace(own);
        if let Some(exchange) = &mut self.exchange {
            exchange.answered_by = None;
            exchange.response = Some(head);
        }
    }

    fn replace(&mut self, own: http::Response<Bytes>) -> Parts {
        let (head, body) = own.into_parts();
        self.body = vec![body];
        head
    }
}
