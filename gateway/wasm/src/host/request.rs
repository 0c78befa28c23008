//! The request that is lent to a guest.

use http::HeaderValue;
use proxy::filter::{Change, Exchange, FieldError, Message, Pinned, Resumed};
use wasmtime::{Result, component::Resource};

use super::{Guest, RequestHandle, cookies, refusal, wit};
use wit::types::{Header, HeaderError, RerouteError};

type Handle = Resource<RequestHandle>;
type Set = Result<Result<(), HeaderError>>;

impl wit::types::HostRequest for Guest {
    fn method(&mut self, handle: Handle) -> Result<String> {
        Ok(self.request(&handle)?.0.request.method.to_string())
    }

    fn scheme(&mut self, handle: Handle) -> Result<String> {
        Ok(self.request(&handle)?.0.facts.scheme.to_owned())
    }

    fn authority(&mut self, handle: Handle) -> Result<String> {
        Ok(text(&self.request(&handle)?.0.facts.authority))
    }

    fn path(&mut self, handle: Handle) -> Result<String> {
        let uri = &self.request(&handle)?.0.request.uri;
        let path = uri.path_and_query().map(http::uri::PathAndQuery::as_str);
        Ok(path.unwrap_or("/").to_owned())
    }

    fn set_path(&mut self, handle: Handle, path: String) -> Set {
        let Some(exchange) = self.request_mut(&handle)? else {
            return Ok(Err(HeaderError::Forbidden));
        };
        Ok(exchange.set_path(&path).map_err(refusal))
    }

    fn header(&mut self, handle: Handle, name: String) -> Result<Option<Vec<u8>>> {
        let fields = &self.request(&handle)?.0.request.headers;
        Ok(fields.get(name).map(|value| value.as_bytes().to_vec()))
    }

    fn header_all(&mut self, handle: Handle, name: String) -> Result<Vec<Vec<u8>>> {
        let values = self.request(&handle)?.0.request.headers.get_all(name);
        Ok(values
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect())
    }

    fn cookie(&mut self, handle: Handle, name: String) -> Result<Option<String>> {
        let fields = &self.request(&handle)?.0.request.headers;
        let value = cookies::find(fields, &name);
        Ok(value.and_then(|value| String::from_utf8(value.to_vec()).ok()))
    }

    fn query(&mut self, handle: Handle, name: String) -> Result<Option<String>> {
        let uri = &self.request(&handle)?.0.request.uri;
        let query = uri.query().unwrap_or_default().as_bytes();
        let mut pairs = form_urlencoded::parse(query);
        let found = pairs.find(|(key, _)| *key == name);
        Ok(found.map(|(_, value)| value.into_owned()))
    }

    fn headers(&mut self, handle: Handle) -> Result<Vec<Header>> {
        Ok(list(&self.request(&handle)?.0.request.headers))
    }

    fn set_header(&mut self, handle: Handle, name: String, value: Vec<u8>) -> Set {
        change(self, &handle, Change::Set, &name, &value)
    }

    fn add_header(&mut self, handle: Handle, name: String, value: Vec<u8>) -> Set {
        change(self, &handle, Change::Add, &name, &value)
    }

    fn remove_header(&mut self, handle: Handle, name: String) -> Set {
        change(self, &handle, Change::Remove, &name, &[])
    }

    fn client_ip(&mut self, handle: Handle) -> Result<String> {
        Ok(self.request(&handle)?.0.facts.client.to_string())
    }

    fn client_port(&mut self, handle: Handle) -> Result<u16> {
        Ok(self.request(&handle)?.0.facts.port)
    }

    fn tls(&mut self, handle: Handle) -> Result<bool> {
        Ok(self.request(&handle)?.0.facts.tls)
    }

    fn sni(&mut self, handle: Handle) -> Result<Option<String>> {
        let sni = self.request(&handle)?.0.facts.sni.as_deref();
        Ok(sni.map(str::to_owned))
    }

    fn http_version(&mut self, handle: Handle) -> Result<String> {
        Ok(format!("{:?}", self.request(&handle)?.0.request.version))
    }

    fn request_id(&mut self, handle: Handle) -> Result<String> {
        Ok(text(&self.request(&handle)?.0.facts.id))
    }

    fn namespace(&mut self, handle: Handle) -> Result<String> {
        Ok(self
            .request(&handle)?
            .0
            .facts
            .route
            .ingress
            .namespace
            .clone())
    }

    fn ingress(&mut self, handle: Handle) -> Result<String> {
        Ok(self.request(&handle)?.0.facts.route.ingress.name.clone())
    }

    fn rule_path(&mut self, handle: Handle) -> Result<String> {
        Ok(self.request(&handle)?.0.facts.route.rule_path.clone())
    }

    fn rule_host(&mut self, handle: Handle) -> Result<String> {
        Ok(self.request(&handle)?.0.facts.route.rule_host.clone())
    }

    fn reroute(&mut self, handle: Handle, backend: String) -> Result<Result<(), RerouteError>> {
        let granted = self
            .attachment
            .as_ref()
            .is_some_and(|attachment| attachment.plugin().may_reroute(&backend));
        let Some(exchange) = self.request_mut(&handle)? else {
            return Ok(Err(RerouteError::NoSuchBackend));
        };
        if !granted {
            return Ok(Err(RerouteError::NotGranted));
        }
        if !exchange.services().has(&backend) {
            return Ok(Err(RerouteError::NoSuchBackend));
        }
        exchange.steer(|steering| steering.backend = Some(backend));
        Ok(Ok(()))
    }

    fn state(&mut self, handle: Handle, key: String) -> Result<Option<Vec<u8>>> {
        let (exchange, own) = self.request(&handle)?;
        Ok(exchange.kept(own, &key).map(<[u8]>::to_vec))
    }

    fn set_state(&mut self, handle: Handle, key: String, value: Vec<u8>) -> Set {
        let (exchange, own) = self.request(&handle)?;
        Ok(exchange.keep(own, key, value).map_err(refusal))
    }

    fn pin(&mut self, handle: Handle, endpoint: String, strict: bool) -> Result<bool> {
        let pin = Pinned {
            endpoint,
            strict,
            resumed: None,
        };
        Ok(pinned(self, &handle, pin)?.is_some())
    }

    fn resume(
        &mut self,
        handle: Handle,
        endpoint: String,
        backend: u32,
        strict: bool,
        key: Option<Vec<u8>>,
    ) -> Result<bool> {
        let own = self.attachment.as_ref().map(|own| own.number());
        let pin = Pinned {
            endpoint,
            strict,
            resumed: own.map(|attachment| Resumed {
                attachment,
                backend,
            }),
        };
        let Some(exchange) = pinned(self, &handle, pin)? else {
            return Ok(false);
        };
        if key.is_some() {
            exchange.steer(|steering| steering.hash = key);
        }
        Ok(true)
    }

    fn hash_by(&mut self, handle: Handle, key: Vec<u8>) -> Result<()> {
        if let Some(exchange) = self.request_mut(&handle)? {
            exchange.steer(|steering| steering.hash = Some(key));
        }
        Ok(())
    }

    fn drop(&mut self, _handle: Handle) -> Result<()> {
        // Requests are only ever lent.
        Ok(())
    }
}

/// Chooses an endpoint, where it can take a session that it has had before.
fn pinned<'g>(
    guest: &'g mut Guest,
    handle: &Handle,
    pin: Pinned,
) -> Result<Option<&'g mut Exchange>> {
    let Some(exchange) = guest.request_mut(handle)? else {
        return Ok(None);
    };
    let services = exchange.services();
    if pin.endpoint.len() > 256 || !services.keeps_session(&exchange.steering, &pin.endpoint) {
        return Ok(None);
    }
    exchange.steer(|steering| steering.pin = Some(pin));
    Ok(Some(exchange))
}

fn change(guest: &mut Guest, handle: &Handle, change: Change, name: &str, value: &[u8]) -> Set {
    let Some(exchange) = guest.request_mut(handle)? else {
        return Ok(Err(refusal(FieldError::Forbidden)));
    };
    let changed = exchange.change(Message::Request, change, name, value);
    Ok(changed.map_err(refusal))
}

/// A field's value as text, which those that come here are.
fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// All fields, in their order.
pub(super) fn list(fields: &http::HeaderMap) -> Vec<Header> {
    let header = |(name, value): (&http::HeaderName, &HeaderValue)| Header {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    fields.iter().map(header).collect()
}
