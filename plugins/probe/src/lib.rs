//! Calls the gateway as its configuration says, and answers with what the calls returned: for the tests that hold
//! the real gateway and the one in memory against each other. Not for anything else.
//!
//! The cases are in `sdk/cases`, one file for each topic; each case is an object with
//!
//! - `name`: a claim;
//! - `request`: `method`, `path`, `headers`, `clientIp`, `clientPort`, `tls`, `sni`, `scheme`, `authority`,
//!   `version`, `id`, `namespace`, `ingress`, `ruleHost`, `rulePath`; what is missing is as in `get("/")` of the
//!   SDK's `testing`;
//! - `gateway`: `services`, `backends` (the grant), `endpoints` (those that keep sessions), `valueBytes` (the grant
//!   `keyValue`); what is missing is without bounds, or 1 MiB. All other capabilities are granted;
//! - `config`: that of this filter;
//! - `response`: `status`, `headers`, `backend`, `endpoint`: what the backend answers; where it is missing, the
//!   response hook is not called;
//! - `rounds`: what is expected of the first request, the second, and so on, of one filter with one configuration:
//!   `onRequest` and `onResponse`: the results, as JSON, `"fails"`, or `"goes on"` where the hook was not called; `request`: the request afterwards, `path`,
//!   `headers`, `backend`, `pin`, `hash`; `response`: the response afterwards, `status` and `headers`. What is
//!   missing is not looked at. A request ends before the next begins.
//!
//! Bytes are written as text in which each character is one byte (Latin-1).

mod operation;
mod text;

use portcullis_sdk::{interest, prelude::*, serde_json::Value};

use operation::{Operation, Session};
use text::Text;

/// What to call, and how to answer.
#[config]
struct Config {
    /// The calls of the request hook.
    on_request: Option<Vec<Operation>>,
    /// The calls of the response hook.
    on_response: Option<Vec<Operation>>,
    /// The fields and the cookies of the requests that it is for; without any, it is for all.
    requests_with: Option<(Vec<String>, Vec<String>)>,
    /// The cookie, whether strict, whether balanced.
    resume_sessions: Option<(String, bool, bool)>,
    /// The bucket's name and rules, as of `openBucket`; how many bits of an IPv6 address count, how many tokens.
    take_clients: Option<(Text, Vec<Numbers>, u8, u32)>,
    /// The answer of the hooks, whose body is the results.
    #[serde(default)]
    answer: Answer,
}

/// A rule of a bucket: tokens, per-ms, burst.
type Numbers = (u32, u32, u32);

/// An answer.
#[config]
struct Answer {
    /// Its status.
    status: u16,
    /// Its fields.
    headers: Vec<(Text, Text)>,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
        }
    }
}

struct Probe(Config);

#[filter]
impl Filter for Probe {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        if let Some((fields, cookies)) = &config.requests_with {
            let (fields, cookies) = (borrowed(fields), borrowed(cookies));
            interest::requests_with(&fields, &cookies);
        }
        if let Some((cookie, strict, balanced)) = &config.resume_sessions {
            interest::resume_sessions(cookie, *strict, *balanced);
        }
        if let Some((name, rules, prefix, tokens)) = &config.take_clients {
            let bucket = operation::bucket(&name.text(), rules);
            let bucket = bucket.map_err(|error| ConfigError::new("", error.to_string()))?;
            bucket.take_clients(*prefix, *tokens);
        }
        Ok(Self(config))
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        let Some(operations) = &self.0.on_request else {
            return Ok(RequestVerdict::Next);
        };
        let mut session = Session::default();
        let results = operations.iter();
        let results = results.map(|operation| session.on_request(operation, request));
        Ok(self.answer(results.collect()).into())
    }

    fn on_response(&self, request: &Request, response: &mut Response) -> Result<ResponseVerdict> {
        let Some(operations) = &self.0.on_response else {
            return Ok(ResponseVerdict::Next);
        };
        let mut session = Session::default();
        let results = operations.iter();
        let results = results.map(|operation| session.on_response(operation, request, response));
        Ok(self.answer(results.collect()).into())
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

impl Probe {
    fn answer(&self, results: Vec<Value>) -> LocalResponse {
        let body = Value::Array(results).to_string();
        let answer = LocalResponse::new(self.0.answer.status).with_body(body);
        let headers = self.0.answer.headers.iter();
        headers.fold(answer, |answer, (name, value)| {
            answer.with_header(name.text(), value.bytes())
        })
    }
}

#[cfg(test)]
mod tests;
