//! The gateway in memory.

mod capabilities;

use crate::{
    Header, HeaderError, RerouteError,
    memory::{Change, Exchange, Message, Phase, Pin, current},
};

pub(crate) use crate::memory::Bucket;
pub(crate) use capabilities::*;

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

/// Chooses an endpoint, where it can take a session that it has had before.
fn pinned(endpoint: &str, strict: bool, resumed: Option<u32>, key: Option<&[u8]>) -> bool {
    let gateway = current();
    let pinned = change(|exchange| {
        let steering = &mut exchange.state.steering;
        let keeps = endpoint.len() <= 256 && gateway.keeps_session(steering, endpoint);
        if keeps {
            steering.pin = Some(Pin {
                endpoint: endpoint.to_owned(),
                strict,
                resumed,
            });
            steering.hash = key.map(<[u8]>::to_vec).or_else(|| steering.hash.take());
        }
        keeps
    });
    pinned.unwrap_or(false)
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
        pinned(endpoint, strict, None, None)
    }

    pub(crate) fn resume(
        &self,
        endpoint: &str,
        backend: u32,
        strict: bool,
        key: Option<&[u8]>,
    ) -> bool {
        pinned(endpoint, strict, Some(backend), key)
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
