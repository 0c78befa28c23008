//! The real gateway, through the bindings.

mod convert;

use crate::{
    Header, HeaderError, RerouteError,
    export::bindings::{
        base::portcullis::filter::{log, types},
        capabilities::portcullis::filter::{
            clock, http_client as http, interest, key_value, metrics, random, rate_limit,
        },
    },
    http_client::{HttpError, Incoming, Outgoing},
    key_value::KeyValueError,
    log::Level,
    rate_limit::{Decision, Rule},
};

pub(crate) use rate_limit::Bucket;

/// A request that is lent.
#[derive(Debug)]
pub(crate) struct Request(pub(crate) types::Request);

impl Request {
    pub(crate) fn method(&self) -> String {
        self.0.method()
    }

    pub(crate) fn scheme(&self) -> String {
        self.0.scheme()
    }

    pub(crate) fn authority(&self) -> String {
        self.0.authority()
    }

    pub(crate) fn path(&self) -> String {
        self.0.path()
    }

    pub(crate) fn set_path(&self, path: &str) -> Result<(), HeaderError> {
        Ok(self.0.set_path(path)?)
    }

    pub(crate) fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.0.header(name)
    }

    pub(crate) fn header_all(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.header_all(name)
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.0.cookie(name)
    }

    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.0.query(name)
    }

    pub(crate) fn headers(&self) -> Vec<Header> {
        self.0.headers().into_iter().map(Header::from).collect()
    }

    pub(crate) fn set_header(&self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        Ok(self.0.set_header(name, value)?)
    }

    pub(crate) fn add_header(&self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        Ok(self.0.add_header(name, value)?)
    }

    pub(crate) fn remove_header(&self, name: &str) -> Result<(), HeaderError> {
        Ok(self.0.remove_header(name)?)
    }

    pub(crate) fn client_ip(&self) -> String {
        self.0.client_ip()
    }

    pub(crate) fn client_port(&self) -> u16 {
        self.0.client_port()
    }

    pub(crate) fn tls(&self) -> bool {
        self.0.tls()
    }

    pub(crate) fn sni(&self) -> Option<String> {
        self.0.sni()
    }

    pub(crate) fn http_version(&self) -> String {
        self.0.http_version()
    }

    pub(crate) fn request_id(&self) -> String {
        self.0.request_id()
    }

    pub(crate) fn namespace(&self) -> String {
        self.0.namespace()
    }

    pub(crate) fn ingress(&self) -> String {
        self.0.ingress()
    }

    pub(crate) fn rule_path(&self) -> String {
        self.0.rule_path()
    }

    pub(crate) fn rule_host(&self) -> String {
        self.0.rule_host()
    }

    pub(crate) fn reroute(&self, backend: &str) -> Result<(), RerouteError> {
        self.0.reroute(backend).map_err(|error| match error {
            types::RerouteError::NotGranted => RerouteError::NotGranted,
            types::RerouteError::NoSuchBackend => RerouteError::NoSuchBackend,
        })
    }

    pub(crate) fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.0.state(key)
    }

    pub(crate) fn set_state(&self, key: &str, value: &[u8]) -> Result<(), HeaderError> {
        Ok(self.0.set_state(key, value)?)
    }

    pub(crate) fn pin(&self, endpoint: &str, strict: bool) -> bool {
        self.0.pin(endpoint, strict)
    }

    pub(crate) fn hash_by(&self, key: &[u8]) {
        self.0.hash_by(key);
    }

    pub(crate) fn resume(
        &self,
        endpoint: &str,
        backend: u32,
        strict: bool,
        key: Option<&[u8]>,
    ) -> bool {
        self.0.resume(endpoint, backend, strict, key)
    }
}

/// A response that is lent.
#[derive(Debug)]
pub(crate) struct Response(pub(crate) types::Response);

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.0.status()
    }

    pub(crate) fn set_status(&self, status: u16) -> Result<(), HeaderError> {
        Ok(self.0.set_status(status)?)
    }

    pub(crate) fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.0.header(name)
    }

    pub(crate) fn header_all(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.header_all(name)
    }

    pub(crate) fn headers(&self) -> Vec<Header> {
        self.0.headers().into_iter().map(Header::from).collect()
    }

    pub(crate) fn set_header(&self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        Ok(self.0.set_header(name, value)?)
    }

    pub(crate) fn add_header(&self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        Ok(self.0.add_header(name, value)?)
    }

    pub(crate) fn remove_header(&self, name: &str) -> Result<(), HeaderError> {
        Ok(self.0.remove_header(name)?)
    }

    pub(crate) fn backend(&self) -> Option<String> {
        self.0.backend()
    }

    pub(crate) fn endpoint(&self) -> Option<String> {
        self.0.endpoint()
    }
}

pub(crate) fn log_enabled(level: Level) -> bool {
    log::enabled(level.into())
}

pub(crate) fn log_write(level: Level, message: &str) {
    log::write(level.into(), message);
}

pub(crate) fn clock_monotonic() -> u64 {
    clock::monotonic()
}

pub(crate) fn clock_wall() -> u64 {
    clock::wall()
}

pub(crate) fn interest_requests_with(fields: &[&str], cookies: &[&str]) {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let (fields, cookies): (Vec<String>, Vec<String>) = (owned(fields), owned(cookies));
    interest::requests_with(&fields, &cookies);
}

pub(crate) fn interest_resume_sessions(cookie: &str, strict: bool, balanced: bool) {
    interest::resume_sessions(cookie, strict, balanced);
}

pub(crate) fn random_u64() -> u64 {
    random::get_u64()
}

pub(crate) fn random_bytes(length: u32) -> Vec<u8> {
    random::get_bytes(length)
}

pub(crate) fn metrics_counter(name: &str, labels: &[(&str, &str)]) -> u32 {
    let labels = labels.iter();
    let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    metrics::counter(name, &labels.collect::<Vec<_>>())
}

pub(crate) fn metrics_histogram(name: &str, bounds: &[f64]) -> u32 {
    metrics::histogram(name, bounds)
}

pub(crate) fn metrics_add(id: u32, delta: u64) {
    metrics::add(id, delta);
}

pub(crate) fn metrics_observe(id: u32, value: f64) {
    metrics::observe(id, value);
}

pub(crate) fn bucket_open(name: &str, rules: &[Rule]) -> Result<Bucket, String> {
    let rule = |rule: &Rule| rate_limit::Rule {
        tokens: rule.tokens,
        per_ms: rule.per_ms,
        burst: rule.burst,
    };
    Bucket::open(name, &rules.iter().map(rule).collect::<Vec<_>>())
}

pub(crate) fn bucket_take(bucket: &Bucket, key: &str, tokens: u32) -> Decision {
    bucket.take(key, tokens).into()
}

pub(crate) fn bucket_take_client(
    bucket: &Bucket,
    request: &Request,
    ipv6_prefix: u8,
    tokens: u32,
) -> Decision {
    bucket.take_client(&request.0, ipv6_prefix, tokens).into()
}

pub(crate) fn bucket_take_clients(bucket: &Bucket, ipv6_prefix: u8, tokens: u32) {
    bucket.take_clients(ipv6_prefix, tokens);
}

pub(crate) fn acquire(key: &str, max: u32) -> bool {
    rate_limit::acquire(key, max)
}

pub(crate) fn kv_get(key: &str) -> Option<Vec<u8>> {
    key_value::get(key)
}

pub(crate) fn kv_set(key: &str, value: &[u8], ttl_ms: Option<u32>) -> Result<(), KeyValueError> {
    Ok(key_value::set(key, value, ttl_ms)?)
}

pub(crate) fn kv_delete(key: &str) {
    key_value::delete(key);
}

pub(crate) fn kv_increment(
    key: &str,
    delta: i64,
    ttl_ms: Option<u32>,
) -> Result<i64, KeyValueError> {
    Ok(key_value::increment(key, delta, ttl_ms)?)
}

pub(crate) fn http_send(request: &Outgoing) -> Result<Incoming, HttpError> {
    let headers = request.headers.iter().cloned();
    let timeout = request.timeout.as_millis();
    let answer = http::send(&http::Outgoing {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: headers.map(types::Header::from).collect(),
        body: request.body.clone(),
        timeout_ms: u32::try_from(timeout).unwrap_or(u32::MAX),
    });
    match answer {
        Ok(answer) => Ok(Incoming {
            status: answer.status,
            headers: answer.headers.into_iter().map(Header::from).collect(),
            body: answer.body,
        }),
        Err(http::HttpError::Denied) => Err(HttpError::Denied),
        Err(http::HttpError::Timeout) => Err(HttpError::Timeout),
        Err(http::HttpError::Connect(why)) => Err(HttpError::Connect(why)),
        Err(http::HttpError::TooLarge) => Err(HttpError::TooLarge),
        Err(http::HttpError::Protocol(what)) => Err(HttpError::Protocol(what)),
    }
}
