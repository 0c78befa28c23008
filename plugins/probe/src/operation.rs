//! The calls of the gateway.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each hook has some of the calls"
)]

use std::time::Duration;

use portcullis_sdk::{
    key_value, metrics,
    prelude::*,
    random,
    rate_limit::{Bucket, Decision, Rule, RuleError, acquire},
    serde_json::{Value, json},
};

use crate::text::{Text, latin1};

/// One call.
#[config]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Method,
    Scheme,
    Authority,
    Path,
    SetPath(Text),
    Header(Text),
    HeaderAll(Text),
    Headers,
    Cookie(Text),
    Query(Text),
    SetHeader(Text, Text),
    AddHeader(Text, Text),
    RemoveHeader(Text),
    ClientIp,
    ClientPort,
    Tls,
    Sni,
    HttpVersion,
    RequestId,
    Namespace,
    Ingress,
    RulePath,
    RuleHost,
    Reroute(Text),
    State(Text),
    SetState(Text, Text),
    Pin(Text, bool),
    HashBy(Text),
    /// The endpoint, the hash of its backend, whether strictly, the key.
    Resume(Text, u32, bool, Option<Text>),
    Status,
    SetStatus(u16),
    ResponseHeader(Text),
    ResponseHeaderAll(Text),
    ResponseHeaders,
    SetResponseHeader(Text, Text),
    AddResponseHeader(Text, Text),
    RemoveResponseHeader(Text),
    Backend,
    Endpoint,
    /// How many there are, as nobody knows which.
    RandomBytes(u32),
    /// Whether it counts.
    Counter(Text, Vec<(Text, Text)>),
    /// Whether it counts.
    Histogram(Text, Vec<f64>),
    /// Its name and rules, each `[tokens, per-ms, burst]`; later ones name it by its place.
    OpenBucket(Text, Vec<(u32, u32, u32)>),
    Take(usize, Text, u32),
    /// The bucket, how many bits of an IPv6 address count, how many tokens.
    TakeClient(usize, u8, u32),
    Acquire(Text, u32),
    KvGet(Text),
    KvSet(Text, Text, Option<u32>),
    KvDelete(Text),
    KvIncrement(Text, i64, Option<u32>),
    Log(Text),
    /// So many times the same; the result is the last one's.
    Repeat(u32, Box<Self>),
    Panic(Text),
}

/// What one hook has opened.
#[derive(Default)]
pub(crate) struct Session {
    buckets: Vec<Bucket>,
}

impl Session {
    pub(crate) fn on_request(&mut self, operation: &Operation, request: &mut Request) -> Value {
        match operation {
            Operation::SetPath(path) => set(request.set_path(&path.text())),
            Operation::SetHeader(name, value) => {
                set(request.set_header(&name.text(), value.bytes()))
            }
            Operation::AddHeader(name, value) => {
                set(request.add_header(&name.text(), value.bytes()))
            }
            Operation::RemoveHeader(name) => set(request.remove_header(&name.text())),
            Operation::Reroute(backend) => set(request.reroute(&backend.text())),
            Operation::Pin(endpoint, strict) => json!(request.pin(&endpoint.text(), *strict)),
            Operation::HashBy(key) => {
                request.hash_by(key.bytes());
                Value::Null
            }
            Operation::Resume(endpoint, backend, strict, key) => {
                let key = key.as_ref().map(Text::bytes);
                json!(request.resume(&endpoint.text(), *backend, *strict, key.as_deref()))
            }
            Operation::TakeClient(index, prefix, tokens) => match self.buckets.get(*index) {
                Some(bucket) => decision(bucket.take_client(request, *prefix, *tokens)),
                None => json!({"error": "no bucket"}),
            },
            Operation::Repeat(times, operation) => (0..*times)
                .map(|_| self.on_request(operation, request))
                .last()
                .unwrap_or_default(),
            other => read(other, request).unwrap_or_else(|| self.elsewhere(other)),
        }
    }

    pub(crate) fn on_response(
        &mut self,
        operation: &Operation,
        request: &Request,
        response: &mut Response,
    ) -> Value {
        match operation {
            Operation::Status => json!(response.status()),
            Operation::SetStatus(status) => set(response.set_status(*status)),
            Operation::ResponseHeader(name) => bytes(response.header(&name.text())),
            Operation::ResponseHeaderAll(name) => all(&response.header_all(&name.text())),
            Operation::ResponseHeaders => fields(&response.headers()),
            Operation::SetResponseHeader(name, value) => {
                set(response.set_header(&name.text(), value.bytes()))
            }
            Operation::AddResponseHeader(name, value) => {
                set(response.add_header(&name.text(), value.bytes()))
            }
            Operation::RemoveResponseHeader(name) => set(response.remove_header(&name.text())),
            Operation::Backend => json!(response.backend()),
            Operation::Endpoint => json!(response.endpoint()),
            Operation::Repeat(times, operation) => (0..*times)
                .map(|_| self.on_response(operation, request, response))
                .last()
                .unwrap_or_default(),
            other => read(other, request).unwrap_or_else(|| self.elsewhere(other)),
        }
    }

    /// What needs neither request nor response.
    fn elsewhere(&mut self, operation: &Operation) -> Value {
        match operation {
            Operation::RandomBytes(length) => json!(random::bytes(*length).len()),
            Operation::Counter(name, labels) => {
                let labels: Vec<_> = labels.iter().map(|(a, b)| (a.text(), b.text())).collect();
                let labels: Vec<_> = labels.iter().map(|(a, b)| (&**a, &**b)).collect();
                let counter = metrics::Counter::new(&name.text(), &labels);
                counter.increment();
                json!(counter != none())
            }
            Operation::Histogram(name, bounds) => {
                metrics::Histogram::new(&name.text(), bounds).observe(1.0);
                Value::Null
            }
            Operation::OpenBucket(name, rules) => match bucket(&name.text(), rules) {
                Ok(bucket) => {
                    self.buckets.push(bucket);
                    Value::Null
                }
                Err(error) => json!({"error": error.to_string()}),
            },
            Operation::Take(index, key, tokens) => match self.buckets.get(*index) {
                Some(bucket) => decision(bucket.take(&key.text(), *tokens)),
                None => json!({"error": "no bucket"}),
            },
            Operation::Acquire(key, max) => json!(acquire(&key.text(), *max)),
            Operation::KvGet(key) => bytes(key_value::get(&key.text())),
            Operation::KvSet(key, value, ttl) => {
                set(key_value::set(&key.text(), value.bytes(), lifetime(*ttl)))
            }
            Operation::KvDelete(key) => {
                key_value::delete(&key.text());
                Value::Null
            }
            Operation::KvIncrement(key, delta, ttl) => {
                match key_value::increment(&key.text(), *delta, lifetime(*ttl)) {
                    Ok(sum) => json!(sum),
                    Err(error) => json!({"error": format!("{error:?}")}),
                }
            }
            Operation::Log(message) => {
                log::info!("{}", message.text());
                Value::Null
            }
            #[expect(clippy::panic, reason = "this is what is asked for")]
            Operation::Panic(message) => panic!("{}", message.text()),
            _ => json!({"error": "not in this hook"}),
        }
    }
}

/// What both hooks can read of a request.
fn read(operation: &Operation, request: &Request) -> Option<Value> {
    Some(match operation {
        Operation::Method => json!(request.method()),
        Operation::Scheme => json!(request.scheme()),
        Operation::Authority => json!(request.authority()),
        Operation::Path => json!(request.path()),
        Operation::Header(name) => bytes(request.header(&name.text())),
        Operation::HeaderAll(name) => all(&request.header_all(&name.text())),
        Operation::Headers => fields(&request.headers()),
        Operation::Cookie(name) => json!(request.cookie(&name.text())),
        Operation::Query(name) => json!(request.query(&name.text())),
        Operation::ClientIp => json!(request.client_ip()),
        Operation::ClientPort => json!(request.client_port()),
        Operation::Tls => json!(request.tls()),
        Operation::Sni => json!(request.sni()),
        Operation::HttpVersion => json!(request.http_version()),
        Operation::RequestId => json!(request.request_id()),
        Operation::Namespace => json!(request.namespace()),
        Operation::Ingress => json!(request.ingress()),
        Operation::RulePath => json!(request.rule_path()),
        Operation::RuleHost => json!(request.rule_host()),
        Operation::State(key) => bytes(request.state(&key.text())),
        Operation::SetState(key, value) => set(request.set_state(&key.text(), value.bytes())),
        _ => return None,
    })
}

/// The buckets of a name, with rules of `[tokens, per-ms, burst]`.
pub(crate) fn bucket(name: &str, rules: &[(u32, u32, u32)]) -> Result<Bucket, RuleError> {
    let rules = rules.iter();
    let rules = rules.map(|&(tokens, per_ms, burst)| Rule {
        tokens,
        per_ms,
        burst,
    });
    Bucket::open(name, &rules.collect::<Vec<_>>())
}

/// What is left of the time is whole seconds: the real gateway's clock does not stand still.
fn decision(decision: Decision) -> Value {
    json!({
        "allowed": decision.allowed,
        "limit": decision.limit,
        "remaining": decision.remaining,
        "retryAfterSeconds": decision.retry_after_ms.div_ceil(1000),
    })
}

/// A name that no series can have: what it gives counts nothing.
fn none() -> metrics::Counter {
    metrics::Counter::new("", &[])
}

fn lifetime(milliseconds: Option<u32>) -> Option<Duration> {
    milliseconds.map(|milliseconds| Duration::from_millis(milliseconds.into()))
}

fn set<E: std::fmt::Debug>(done: Result<(), E>) -> Value {
    match done {
        Ok(()) => Value::Null,
        Err(error) => json!({"error": format!("{error:?}")}),
    }
}

fn bytes(value: Option<Vec<u8>>) -> Value {
    json!(value.map(|value| latin1(&value)))
}

fn all(values: &[Vec<u8>]) -> Value {
    values.iter().map(|value| latin1(value)).collect()
}

fn fields(fields: &[Header]) -> Value {
    let pair = |field: &Header| json!([field.name, latin1(&field.value)]);
    fields.iter().map(pair).collect()
}
