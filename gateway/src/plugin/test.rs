//! `portcullis plugin test`: recorded cases through the host and the limits of production.

use std::{fs, process::ExitCode};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Response;
use proxy::filter::{BodyVerdict, Exchange, Fault, Filter, RequestVerdict, ResponseVerdict};
use route::{Isolation, Limits};
use serde_json::json;
use tokio::runtime;
use wasm::Attached;

use super::{
    attached,
    case::{Case, Expected},
    granted, load,
};
use crate::{FAILED, cli::TestFlags, say};

/// Runs all cases; 1 where one of them fails.
pub(super) fn command(flags: &TestFlags) -> anyhow::Result<ExitCode> {
    let (engine, component) = load(&flags.file)?;
    let text = fs::read_to_string(&flags.cases).with_context(|| {
        format!(
            "cannot read the cases in {}; write a file with a JSON object a line, --cases FILE",
            flags.cases.display()
        )
    })?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut passed, mut failed) = (0, 0);
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with("//") {
            continue;
        }
        let place = format!("{}:{}", flags.cases.display(), index + 1);
        let case: Case =
            serde_json::from_str(line).with_context(|| format!("{place} is no case"))?;
        // Each case begins anew: no bucket and no value is left from another one.
        let plugin = granted(&engine, &component, Limits::default(), Isolation::Shared)?;
        let config = case.config.clone().unwrap_or_else(|| json!({}));
        let outcome = match attached(&plugin, &config) {
            Ok(filter) => runtime.block_on(run(&filter, &case))?,
            Err(error) => Outcome::refused(&error),
        };
        match outcome.differs(&case.expect) {
            None => passed += 1,
            Some(what) => {
                failed += 1;
                say(&format!("{place}: failed: {}: {what}", case.name));
            }
        }
    }
    say(&format!("{passed} passed, {failed} failed"));
    if passed + failed == 0 {
        bail!("there is no case in {}", flags.cases.display());
    }
    Ok(if failed > 0 {
        FAILED.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// What came of a case.
struct Outcome {
    verdict: &'static str,
    reason: Option<String>,
    answer: Option<Response<Bytes>>,
    exchange: Option<Box<Exchange>>,
    request_body: Option<Bytes>,
}

/// Runs a case so often as it wants.
async fn run(filter: &Attached, case: &Case) -> anyhow::Result<Outcome> {
    let mut last = None;
    for _ in 0..case.times.max(1) {
        last = Some(once(filter, case).await?);
    }
    last.context("a case runs at least once")
}

async fn once(filter: &Attached, case: &Case) -> anyhow::Result<Outcome> {
    let hooks = filter.hooks();
    let mut exchange = case.request.exchange()?;
    let mut answer = None;
    let body = |text: &Option<String>| Bytes::from(text.clone().unwrap_or_default());
    let mut request_body = body(&case.request.body);
    if hooks.request {
        let (back, verdict) = filter.on_request(exchange).answer().await;
        exchange = back;
        match verdict {
            Ok(RequestVerdict::Next) => {}
            Ok(RequestVerdict::Respond(own)) => answer = Some(own),
            Err(fault) => return Ok(Outcome::failed(fault, exchange)),
        }
    }
    if hooks.request_body && answer.is_none() {
        let asked = filter.on_request_body(exchange, request_body.clone());
        let (back, verdict) = asked.answer().await;
        exchange = back;
        match verdict {
            Ok(BodyVerdict::Next) => {}
            Ok(BodyVerdict::Replace(other)) => request_body = other,
            Ok(BodyVerdict::Respond(own)) => answer = Some(own),
            Err(fault) => return Ok(Outcome::failed(fault, exchange)),
        }
    }
    let verdict = if answer.is_some() { "respond" } else { "next" };
    if let (None, Some(response)) = (&answer, &case.response) {
        exchange.response = Some(response.head()?);
        exchange.answered_by = Some(("backend:80".into(), "endpoint".into()));
        let mut bytes = body(&response.body);
        if hooks.response {
            let (back, verdict) = filter.on_response(exchange).answer().await;
            exchange = back;
            match verdict {
                Ok(ResponseVerdict::Next) => {}
                Ok(ResponseVerdict::Replace(own)) => answer = Some(own),
                Err(fault) => return Ok(Outcome::failed(fault, exchange)),
            }
        }
        if hooks.response_body && answer.is_none() {
            let asked = filter.on_response_body(exchange, bytes.clone());
            let (back, verdict) = asked.answer().await;
            exchange = back;
            match verdict {
                Ok(BodyVerdict::Next) => {}
                Ok(BodyVerdict::Replace(other)) => bytes = other,
                Ok(BodyVerdict::Respond(own)) => answer = Some(own),
                Err(fault) => return Ok(Outcome::failed(fault, exchange)),
            }
        }
        if hooks.response_stream && answer.is_none() {
            let (back, streamed) = stream(filter, exchange, bytes).await;
            exchange = back;
            match streamed {
                Ok(out) => bytes = out,
                Err(fault) => return Ok(Outcome::failed(fault, exchange)),
            }
        }
        if let (None, Some(head)) = (&answer, exchange.response.take()) {
            answer = Some(Response::from_parts(head, bytes));
        }
    }
    Ok(Outcome {
        verdict,
        reason: None,
        answer,
        exchange: Some(exchange),
        request_body: Some(request_body),
    })
}

/// The whole body as one piece.
async fn stream(
    filter: &Attached,
    exchange: Box<Exchange>,
    body: Bytes,
) -> (Box<Exchange>, Result<Bytes, Fault>) {
    use proxy::filter::ChunkVerdict;

    let mut stream = filter.stream();
    let (exchange, verdict) = stream.chunk(exchange, body.clone(), true).answer().await;
    let out = verdict.map(|verdict| match verdict {
        ChunkVerdict::Pass => body,
        ChunkVerdict::Replace(other) => other,
        ChunkVerdict::Drop | ChunkVerdict::Abort => Bytes::new(),
    });
    (exchange, out)
}

impl Outcome {
    fn failed(fault: Fault, exchange: Box<Exchange>) -> Self {
        Self {
            verdict: "fail",
            reason: Some(fault.word().to_owned()),
            answer: None,
            exchange: Some(exchange),
            request_body: None,
        }
    }

    fn refused(error: &anyhow::Error) -> Self {
        Self {
            verdict: "fail",
            reason: Some(format!("plugin-config: {}", crate::described(error))),
            answer: None,
            exchange: None,
            request_body: None,
        }
    }

    /// What is not as it was expected, if anything.
    fn differs(&self, expected: &Expected) -> Option<String> {
        let not = |what: &str, found: &str, wanted: &str| {
            Some(format!("{what} is {found:?} instead of {wanted:?}"))
        };
        if let Some(wanted) = expected.verdict.as_deref().filter(|w| *w != self.verdict) {
            let why = self.reason.as_deref().unwrap_or_default();
            return not("the verdict", &format!("{} {why}", self.verdict), wanted);
        }
        let reason = self.reason.as_deref().unwrap_or_default();
        if let Some(wanted) = expected.reason.as_deref().filter(|w| !reason.contains(*w)) {
            return not("the reason", reason, wanted);
        }
        let answer = self.answer.as_ref();
        let status = answer.map_or(0, |answer| answer.status().as_u16());
        if let Some(wanted) = expected.status.filter(|wanted| *wanted != status) {
            return not("the status", &status.to_string(), &wanted.to_string());
        }
        let none = http::HeaderMap::new();
        let fields = answer.map_or(&none, Response::headers);
        if let Some(what) = expected.headers.differs(fields) {
            return Some(format!("the answer's {what}"));
        }
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let found = answer.map(|answer| text(answer.body())).unwrap_or_default();
        if let Some(wanted) = expected.body.as_ref().filter(|wanted| **wanted != found) {
            return not("the body", &found, wanted);
        }
        self.request_differs(expected)
    }

    fn request_differs(&self, expected: &Expected) -> Option<String> {
        let sent = &expected.request;
        let exchange = self.exchange.as_ref()?;
        if let Some(what) = sent.headers.differs(&exchange.request.headers) {
            return Some(format!("the request's {what}"));
        }
        let path = exchange.request.uri.to_string();
        if let Some(wanted) = sent.path.as_ref().filter(|wanted| **wanted != path) {
            return Some(format!("the path is {path:?} instead of {wanted:?}"));
        }
        let body = self.request_body.clone().unwrap_or_default();
        let body = String::from_utf8_lossy(&body);
        if let Some(wanted) = sent.body.as_ref().filter(|wanted| **wanted != body) {
            return Some(format!(
                "the request's body is {body:?} instead of {wanted:?}"
            ));
        }
        let backend = exchange.steering.backend.as_deref().unwrap_or_default();
        let wanted = expected.backend.as_ref().filter(|w| **w != backend)?;
        Some(format!("the backend is {backend:?} instead of {wanted:?}"))
    }
}
