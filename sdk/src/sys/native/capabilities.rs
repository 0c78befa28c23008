//! What can be granted, of the gateway in memory.

use std::time::Duration;

use super::Request;
use crate::{
    http_client::{HttpError, Incoming, Outgoing},
    key_value::KeyValueError,
    log::Level,
    memory::{Bucket, Counted, Sample, current, stop},
    rate_limit::{Decision, Rule},
};

pub(crate) fn log_enabled(_: Level) -> bool {
    current().count();
    true
}

pub(crate) fn log_write(level: Level, message: &str) {
    current().log(level, message);
}

pub(crate) fn clock_monotonic() -> u64 {
    let gateway = current();
    gateway.count();
    u64::try_from(gateway.now.get().as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn clock_wall() -> u64 {
    let gateway = current();
    gateway.count();
    u64::try_from(gateway.wall.get().as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn random_u64() -> u64 {
    let gateway = current();
    gateway.count();
    gateway.random()
}

pub(crate) fn random_bytes(length: u32) -> Vec<u8> {
    let gateway = current();
    gateway.count();
    if length > 64 << 10 {
        stop("`get-bytes` gives at most 64 KiB");
    }
    let bytes = std::iter::repeat_with(|| gateway.random().to_le_bytes()).flatten();
    bytes
        .take(usize::try_from(length).unwrap_or_default())
        .collect()
}

pub(crate) fn metrics_counter(name: &str, labels: &[(&str, &str)]) -> u32 {
    let labels = labels.iter();
    let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    register(name, labels.collect(), Counted::Counter(0))
}

pub(crate) fn metrics_histogram(name: &str, bounds: &[f64]) -> u32 {
    let value = Counted::Histogram {
        buckets: bounds.iter().map(|bound| (*bound, 0)).collect(),
        count: 0,
        sum: 0.0,
    };
    register(name, Vec::new(), value)
}

fn register(name: &str, labels: Vec<(String, String)>, value: Counted) -> u32 {
    let gateway = current();
    gateway.count();
    let name = name.to_owned();
    gateway.metrics.borrow_mut().register(Sample {
        name,
        labels,
        value,
    })
}

pub(crate) fn metrics_add(id: u32, delta: u64) {
    let gateway = current();
    gateway.count();
    gateway.metrics.borrow_mut().add(id, delta);
}

pub(crate) fn metrics_observe(id: u32, value: f64) {
    let gateway = current();
    gateway.count();
    gateway.metrics.borrow_mut().observe(id, value);
}

pub(crate) fn bucket_open(name: &str, rules: &[Rule]) -> Result<Bucket, String> {
    current().open(name, rules)
}

pub(crate) fn bucket_take(bucket: &Bucket, key: &str, tokens: u32) -> Decision {
    current().take(bucket, key, tokens)
}

pub(crate) fn bucket_take_client(
    bucket: &Bucket,
    _: &Request,
    ipv6_prefix: u8,
    tokens: u32,
) -> Decision {
    current().take_client(bucket, ipv6_prefix, tokens)
}

pub(crate) fn bucket_take_clients(bucket: &Bucket, ipv6_prefix: u8, tokens: u32) {
    current().take_clients(bucket, ipv6_prefix, tokens);
}

pub(crate) fn interest_resume_sessions(cookie: &str, strict: bool, balanced: bool) {
    current().resume_sessions(cookie, strict, balanced);
}

pub(crate) fn interest_requests_with(fields: &[&str], cookies: &[&str]) {
    current().is_for(fields, cookies);
}

pub(crate) fn acquire(key: &str, max: u32) -> bool {
    current().acquire(key, max)
}

pub(crate) fn kv_get(key: &str) -> Option<Vec<u8>> {
    let gateway = current();
    gateway.count();
    let values = gateway.values.borrow();
    values.get(key, gateway.now.get()).map(<[u8]>::to_vec)
}

pub(crate) fn kv_set(key: &str, value: &[u8], ttl_ms: Option<u32>) -> Result<(), KeyValueError> {
    let gateway = current();
    gateway.count();
    let (until, terms) = (until(ttl_ms), gateway.value_terms());
    let mut values = gateway.values.borrow_mut();
    values.set(key, value.to_vec(), until, terms)
}

pub(crate) fn kv_delete(key: &str) {
    let gateway = current();
    gateway.count();
    gateway.values.borrow_mut().delete(key);
}

pub(crate) fn kv_increment(
    key: &str,
    delta: i64,
    ttl_ms: Option<u32>,
) -> Result<i64, KeyValueError> {
    let gateway = current();
    gateway.count();
    let (until, terms) = (until(ttl_ms), gateway.value_terms());
    let mut values = gateway.values.borrow_mut();
    values.increment(key, delta, until, terms)
}

fn until(ttl_ms: Option<u32>) -> Option<Duration> {
    let ttl = Duration::from_millis(ttl_ms?.into());
    Some(current().now.get() + ttl)
}

/// There is no network in memory: what a test has prepared answers.
pub(crate) fn http_send(request: &Outgoing) -> Result<Incoming, HttpError> {
    let gateway = current();
    gateway.count();
    let servers = gateway.servers.borrow();
    let server = servers.iter().find(|(url, _)| *url == request.url);
    server.map_or(Err(HttpError::Denied), |(_, answer)| answer.clone())
}
