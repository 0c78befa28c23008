//! The gateway in memory.

use std::time::Duration;

use crate::{
    Header, HeaderError, RerouteError,
    http_client::{HttpError, Incoming, Outgoing},
    key_value::KeyValueError,
    log::Level,
    memory::{Change, Counted, Exchange, Message, Phase, Pin, Sample, current, stop},
    rate_limit::{Decision, Rule},
};

pub(crate) use crate::memory::Bucket;

/// The request that is lent.
#[derive(Debug)]
pub(crate) struct Request;

fn look<V>(look: impl FnOnce(&Exchange) -> V) -> V {
    current().lent(|_, exchange| look(exchange))
}

/// Changes the request, where it may be changed.
fn change<V>(change: impl FnOnce(&mut Exchange) -> V) -> Option<V> {
    current().lent(|phase, exchange| (phase == Phase::Request).then(|| change(exchange)))
}

fn change_field(of: Message, how: Change, name: &str, value: &[u8]) -> Result<(), HeaderError> {
    current().lent(|phase, exchange| {
        if of == Message::Request && phase != Phase::Request {
            return Err(HeaderError::Forbidden);
        }
        exchange.change(of, how, name, value)
    })
}

fn field(of: Message, name: &str) -> Option<Vec<u8>> {
    look(|exchange| {
        let value = exchange.fields(of)?.get(name)?;
        Some(value.as_bytes().to_vec())
    })
}

fn field_all(of: Message, name: &str) -> Vec<Vec<u8>> {
    look(|exchange| {
        let values = exchange.fields(of).into_iter();
        let values = values.flat_map(|fields| fields.get_all(name));
        values.map(|value| value.as_bytes().to_vec()).collect()
    })
}

fn fields(of: Message) -> Vec<Header> {
    look(|exchange| {
        let fields = exchange.fields(of).into_iter().flatten();
        fields
            .map(|(name, value)| Header::new(name.as_str(), value))
            .collect()
    })
}

impl Request {
    pub(crate) fn method(&self) -> String {
        look(|exchange| exchange.state.request.method.to_string())
    }

    pub(crate) fn scheme(&self) -> String {
        look(|exchange| exchange.facts.scheme.clone())
    }

    pub(crate) fn authority(&self) -> String {
        look(|exchange| exchange.facts.authority.clone())
    }

    pub(crate) fn path(&self) -> String {
        look(|exchange| {
            let path = exchange.state.request.uri.path_and_query();
            path.map_or("/", |path| path.as_str()).to_owned()
        })
    }

    pub(crate) fn set_path(&self, path: &str) -> Result<(), HeaderError> {
        change(|exchange| exchange.set_path(path)).unwrap_or(Err(HeaderError::Forbidden))
    }

    pub(crate) fn header(&self, name: &str) -> Option<Vec<u8>> {
        field(Message::Request, name)
    }

    pub(crate) fn header_all(&self, name: &str) -> Vec<Vec<u8>> {
        field_all(Message::Request, name)
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        look(|exchange| exchange.cookie(name))
    }

    pub(crate) fn query(&self, name: &str) -> Option<String> {
        look(|exchange| exchange.query(name))
    }

    pub(crate) fn headers(&self) -> Vec<Header> {
        fields(Message::Request)
    }

    pub(crate) fn set_header(&self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        change_field(Message::Request, Change::Set, name, value)
    }

    pub(crate) fn add_header(&self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        change_field(Message::Request, Change::Add, name, value)
    }

    pub(crate) fn remove_header(&self, name: &str) -> Result<(), HeaderError> {
        change_field(Message::Request, Change::Remove, name, &[])
    }

    pub(crate) fn client_ip(&self) -> String {
        look(|exchange| exchange.facts.client.to_string())
    }

    pub(crate) fn client_port(&self) -> u16 {
        look(|exchange| exchange.facts.port)
    }

    pub(crate) fn tls(&self) -> bool {
        look(|exchange| exchange.facts.tls)
    }

    pub(crate) fn sni(&self) -> Option<String> {
        look(|exchange| exchange.facts.sni.clone())
    }

    pub(crate) fn http_version(&self) -> String {
        look(|exchange| format!("{:?}", exchange.state.request.version))
    }

    pub(crate) fn request_id(&self) -> String {
        look(|exchange| exchange.facts.id.clone())
    }

    pub(crate) fn namespace(&self) -> String {
        look(|exchange| exchange.facts.namespace.clone())
    }

    pub(crate) fn ingress(&self) -> String {
        look(|exchange| exchange.facts.ingress.clone())
    }

    pub(crate) fn rule_path(&self) -> String {
        look(|exchange| exchange.facts.rule_path.clone())
    }

    pub(crate) fn rule_host(&self) -> String {
        look(|exchange| exchange.facts.rule_host.clone())
    }

    pub(crate) fn reroute(&self, backend: &str) -> Result<(), RerouteError> {
        let gateway = current();
        let (granted, known) = (gateway.may_reroute(backend), gateway.has_service(backend));
        let steered = change(|exchange| match (granted, known) {
            (false, _) => Err(RerouteError::NotGranted),
            (true, false) => Err(RerouteError::NoSuchBackend),
            (true, true) => {
                exchange.state.steering.backend = Some(backend.to_owned());
                Ok(())
            }
        });
        steered.unwrap_or(Err(RerouteError::NoSuchBackend))
    }

    pub(crate) fn state(&self, key: &str) -> Option<Vec<u8>> {
        look(|exchange| exchange.kept(key).map(<[u8]>::to_vec))
    }

    pub(crate) fn set_state(&self, key: &str, value: &[u8]) -> Result<(), HeaderError> {
        current().lent(|_, exchange| exchange.keep(key, value))
    }

    pub(crate) fn pin(&self, endpoint: &str, strict: bool) -> bool {
        let gateway = current();
        let pinned = change(|exchange| {
            let steering = &mut exchange.state.steering;
            let keeps = endpoint.len() <= 256 && gateway.keeps_session(steering, endpoint);
            if keeps {
                let endpoint = endpoint.to_owned();
                steering.pin = Some(Pin { endpoint, strict });
            }
            keeps
        });
        pinned.unwrap_or(false)
    }

    pub(crate) fn hash_by(&self, key: &[u8]) {
        change(|exchange| exchange.state.steering.hash = Some(key.to_vec()));
    }
}

/// The response that is lent.
#[derive(Debug)]
pub(crate) struct Response;

impl Response {
    pub(crate) fn status(&self) -> u16 {
        look(|exchange| {
            let response = exchange.state.response.as_ref();
            response.map_or(0, |response| response.status.as_u16())
        })
    }

    pub(crate) fn set_status(&self, status: u16) -> Result<(), HeaderError> {
        current().lent(|_, exchange| exchange.set_status(status))
    }

    pub(crate) fn header(&self, name: &str) -> Option<Vec<u8>> {
        field(Message::Response, name)
    }

    pub(crate) fn header_all(&self, name: &str) -> Vec<Vec<u8>> {
        field_all(Message::Response, name)
    }

    pub(crate) fn headers(&self) -> Vec<Header> {
        fields(Message::Response)
    }

    pub(crate) fn set_header(&self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        change_field(Message::Response, Change::Set, name, value)
    }

    pub(crate) fn add_header(&self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        change_field(Message::Response, Change::Add, name, value)
    }

    pub(crate) fn remove_header(&self, name: &str) -> Result<(), HeaderError> {
        change_field(Message::Response, Change::Remove, name, &[])
    }

    pub(crate) fn backend(&self) -> Option<String> {
        look(|exchange| exchange.answered_by.as_ref().map(|by| by.0.clone()))
    }

    pub(crate) fn endpoint(&self) -> Option<String> {
        look(|exchange| exchange.answered_by.as_ref().map(|by| by.1.clone()))
    }
}

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
