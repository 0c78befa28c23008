//! The request and its response, as hooks see them, with what a failed hook changed undone.

use std::{any::Any, net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, request, response};
use route::Route;

use super::fields::{self, Change, FieldError, Message, Spent};

/// What is known about a request besides its head.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `http` or `https`, as the client meant it.
    pub scheme: &'static str,
    /// Host and port, as the client wrote them.
    pub authority: HeaderValue,
    /// The client's address.
    pub client: IpAddr,
    /// The client's port.
    pub port: u16,
    /// Whether the connection to the gateway is encrypted.
    pub tls: bool,
    /// The name of the TLS handshake.
    pub sni: Option<Arc<str>>,
    /// The request's id.
    pub id: HeaderValue,
    /// The route: whose Ingress, which rule.
    pub route: Arc<Route>,
}

/// What a filter may ask about Services.
pub trait Services: Send + Sync {
    /// Whether the request's namespace has this backend, `service:port`.
    fn has(&self, backend: &str) -> bool;
    /// Whether this endpoint, of the request's backend, can take a session that it has had before.
    fn keeps_session(&self, steering: &Steering, endpoint: &str) -> bool;
}

/// Where filters want a request to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steering {
    /// Another backend, `service:port`.
    pub backend: Option<String>,
    /// One endpoint of the backend.
    pub pin: Option<Pinned>,
    /// The key of which a hash chooses the endpoint.
    pub hash: Option<Vec<u8>>,
}

/// An endpoint that a filter has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Its id.
    pub endpoint: String,
    /// Whether to fail rather than to choose another.
    pub strict: bool,
    /// Who goes on with a session there, if anybody does.
    pub resumed: Option<Resumed>,
}

/// A session that goes on as it is where the endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Whose session it is.
    pub attachment: u32,
    /// The hash of its backend: FNV-1a, 32 bits, of `service:port`.
    pub backend: u32,
}

/// One request and what became of it. It is moved into an instance for a call, and out again.
pub struct Exchange {
    /// The request's head; its target's path is in the normal form.
    pub request: request::Parts,
    /// The response's head, once there is one.
    pub response: Option<response::Parts>,
    /// The backend that answered, `service:port`, and the id of its endpoint.
    pub answered_by: Option<(Arc<str>, Arc<str>)>,
    /// What else is known.
    pub facts: Facts,
    /// Where filters want it to go.
    pub steering: Steering,
    services: Arc<dyn Services>,
    /// What hooks keep for hooks, by attachment and key.
    kept: Vec<(u32, String, Vec<u8>)>,
    permits: Vec<Box<dyn Any + Send>>,
    spent: Spent,
    undo: Vec<Undo>,
}

/// What undoes one change. They are undone last first.
enum Undo {
    /// A field that was not there: it is the last of its map.
    Added(Message, HeaderName),
    /// A field of one value that got another one in its place.
    Replaced(Message, HeaderName, HeaderValue),
    /// Any other change of fields: an undo field by field would lose their order.
    Fields(Message, HeaderMap),
    Target(Uri),
    Status(StatusCode),
    Steering(Steering),
    Kept(usize, Vec<u8>),
    KeptNew,
}

impl Exchange {
    /// A request that no filter has seen.
    pub fn new(request: request::Parts, facts: Facts, services: Arc<dyn Services>) -> Self {
        Self {
            request,
            response: None,
            answered_by: None,
            facts,
            steering: Steering::default(),
            services,
            kept: Vec::new(),
            permits: Vec::new(),
            spent: Spent::default(),
            undo: Vec::new(),
        }
    }

    /// Before a hook: from here on, changes are counted and can be undone.
    pub fn begin(&mut self) {
        self.spent = Spent::default();
        self.undo.clear();
    }

    /// After a hook that failed: as if it had not been called, but for permits, which the end of the
    /// request gives back.
    pub fn undo(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Added(message, name) => {
                    if let Some(fields) = self.fields_mut(message) {
                        fields.remove(name);
                    }
                }
                Undo::Replaced(message, name, before) => {
                    if let Some(fields) = self.fields_mut(message) {
                        fields.insert(name, before);
                    }
                }
                Undo::Fields(message, before) => {
                    if let Some(fields) = self.fields_mut(message) {
                        *fields = before;
                    }
                }
                Undo::Target(before) => self.request.uri = before,
                Undo::Status(before) => {
                    if let Some(response) = &mut self.response {
                        response.status = before;
                    }
                }
                Undo::Steering(before) => self.steering = before,
                Undo::Kept(index, before) => {
                    if let Some((_, _, value)) = self.kept.get_mut(index) {
                        *value = before;
                    }
                }
                Undo::KeptNew => {
                    self.kept.pop();
                }
            }
        }
    }

    /// The fields of a message, where there is one.
    pub fn fields(&self, message: Message) -> Option<&HeaderMap> {
        match message {
            Message::Request => Some(&self.request.headers),
            Message::Response => self.response.as_ref().map(|response| &response.headers),
        }
    }

    fn fields_mut(&mut self, message: Message) -> Option<&mut HeaderMap> {
        match message {
            Message::Request => Some(&mut self.request.headers),
            Message::Response => self.response.as_mut().map(|response| &mut response.headers),
        }
    }

    /// Sets, adds or removes a field.
    pub fn change(
        &mut self,
        message: Message,
        change: Change,
        name: &str,
        value: &[u8],
    ) -> Result<(), FieldError> {
        let name = fields::name(message, change, name)?;
        let value = fields::value(value)?;
        let Some(present) = self.fields(message).map(|fields| fields.get_all(&name)) else {
            return Err(FieldError::Forbidden);
        };
        let mut values = present.iter();
        let (first, more) = (values.next().cloned(), values.next().is_some());
        if change == Change::Remove && first.is_none() {
            return Ok(());
        }
        self.spent.charge(name.as_str().len() + value.len())?;
        let undo = match (first, change) {
            (None, _) => Some(Undo::Added(message, name.clone())),
            (Some(first), Change::Set) if !more => {
                Some(Undo::Replaced(message, name.clone(), first))
            }
            (Some(_), _) => self.before(message),
        };
        self.undo.extend(undo);
        let Some(fields) = self.fields_mut(message) else {
            return Err(FieldError::Forbidden);
        };
        let full = match change {
            Change::Set => fields.try_insert(name, value).is_err(),
            Change::Add => fields.try_append(name, value).is_err(),
            Change::Remove => fields.remove(name).is_none(),
        };
        if full {
            Err(FieldError::TooMany)
        } else {
            Ok(())
        }
    }

    /// The fields as they are, unless they are already kept.
    fn before(&self, message: Message) -> Option<Undo> {
        let kept = self
            .undo
            .iter()
            .any(|undo| matches!(undo, Undo::Fields(of, _) if *of == message));
        let fields = self.fields(message).filter(|_| !kept);
        fields.map(|fields| Undo::Fields(message, fields.clone()))
    }

    /// Sends the request to another path.
    pub fn set_path(&mut self, path: &str) -> Result<(), FieldError> {
        let path = fields::path(path)?;
        let mut parts = self.request.uri.clone().into_parts();
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|_| FieldError::InvalidName)?;
        let before = std::mem::replace(&mut self.request.uri, uri);
        self.undo.push(Undo::Target(before));
        Ok(())
    }

    /// Gives the response another status; not one that has no body in the place of one that may have, or
    /// the other way round, as the body stays.
    pub fn set_status(&mut self, status: u16) -> Result<(), FieldError> {
        let status = final_status(status)?;
        let Some(response) = &mut self.response else {
            return Err(FieldError::Forbidden);
        };
        let is_empty = |status: StatusCode| matches!(status.as_u16(), 204 | 205 | 304);
        if is_empty(status) != is_empty(response.status) {
            return Err(FieldError::InvalidValue);
        }
        let before = std::mem::replace(&mut response.status, status);
        self.undo.push(Undo::Status(before));
        Ok(())
    }

    /// Sends the request elsewhere.
    pub fn steer(&mut self, change: impl FnOnce(&mut Steering)) {
        // The first is what was there before the hook.
        let known = |undo: &Undo| matches!(undo, Undo::Steering(_));
        if !self.undo.iter().any(known) {
            self.undo.push(Undo::Steering(self.steering.clone()));
        }
        change(&mut self.steering);
    }

    /// Whether what has answered is where the attachment's session goes on as it is.
    pub fn goes_on(&self, attachment: u32) -> bool {
        let (Some(pin), Some((backend, endpoint))) = (&self.steering.pin, &self.answered_by) else {
            return false;
        };
        let own = pin.resumed.filter(|own| own.attachment == attachment);
        own.is_some_and(|own| *pin.endpoint == **endpoint && own.backend == fnv(backend))
    }

    /// What there is to send it to.
    pub fn services(&self) -> &dyn Services {
        &*self.services
    }

    /// What the attachment has kept under a key.
    pub fn kept(&self, attachment: u32, key: &str) -> Option<&[u8]> {
        let mut kept = self.kept.iter();
        kept.find(|(of, name, _)| *of == attachment && name == key)
            .map(|(_, _, value)| value.as_slice())
    }

    /// Keeps a value for later hooks of the attachment.
    pub fn keep(&mut self, attachment: u32, key: String, value: Vec<u8>) -> Result<(), FieldError> {
        if key.len() > 128 || value.len() > 8 << 10 {
            return Err(FieldError::TooLarge);
        }
        let mut entries = self.kept.iter_mut().enumerate();
        let same = entries.find(|(_, (of, name, _))| *of == attachment && *name == key);
        if let Some((index, (_, _, slot))) = same {
            let before = std::mem::replace(slot, value);
            self.undo.push(Undo::Kept(index, before));
            return Ok(());
        }
        if self
            .kept
            .iter()
            .filter(|(of, ..)| *of == attachment)
            .count()
            == 16
        {
            return Err(FieldError::TooMany);
        }
        self.kept.push((attachment, key, value));
        self.undo.push(Undo::KeptNew);
        Ok(())
    }

    /// Holds a permit until the request has ended.
    pub fn hold(&mut self, permit: Box<dyn Any + Send>) {
        self.permits.push(permit);
    }
}

/// FNV-1a, 32 bits.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// A status that ends an exchange.
pub fn final_status(status: u16) -> Result<StatusCode, FieldError> {
    if !(200..600).contains(&status) {
        return Err(FieldError::InvalidValue);
    }
    StatusCode::from_u16(status).map_err(|_| FieldError::InvalidValue)
}

#[cfg(test)]
mod tests;
