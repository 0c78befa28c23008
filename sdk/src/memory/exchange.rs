//! One request and what becomes of it. What a failed hook changed is undone by keeping what there was
//! before: a test has no haste.

use std::{net::IpAddr, rc::Rc};

use http::{HeaderMap, request, response};

use super::{
    fields::{self, Change, Message, Spent},
    gateway::Permit,
};
use crate::HeaderError;

/// What is known about a request besides its head.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) client: IpAddr,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) sni: Option<String>,
    pub(crate) id: String,
    pub(crate) namespace: String,
    pub(crate) ingress: String,
    pub(crate) rule_path: String,
    pub(crate) rule_host: String,
}

/// Where a filter wants a request to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steering {
    pub(crate) backend: Option<String>,
    pub(crate) pin: Option<Pin>,
    pub(crate) hash: Option<Vec<u8>>,
}

/// An endpoint that a filter has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) endpoint: String,
    pub(crate) strict: bool,
    /// The hash of the backend of a session that goes on there.
    pub(crate) resumed: Option<u32>,
}

/// One request and what becomes of it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) state: State,
    pub(crate) facts: Facts,
    pub(crate) answered_by: Option<(String, String)>,
    permits: Vec<Permit>,
    spent: Spent,
    before: Option<State>,
}

/// What hooks can change.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) request: request::Parts,
    pub(crate) response: Option<response::Parts>,
    pub(crate) steering: Steering,
    kept: Vec<(String, Rc<[u8]>)>,
}

impl Exchange {
    pub(crate) fn new(request: request::Parts, facts: Facts) -> Self {
        Self {
            state: State {
                request,
                response: None,
                steering: Steering::default(),
                kept: Vec::new(),
            },
            facts,
            answered_by: None,
            permits: Vec::new(),
            spent: Spent::default(),
            before: None,
        }
    }

    /// Before a hook.
    pub(crate) fn begin(&mut self) {
        self.spent = Spent::default();
        self.before = Some(self.state.clone());
    }

    /// After a hook that failed: as if it had not been called, but for permits.
    pub(crate) fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            self.state = before;
        }
    }

    pub(crate) fn fields(&self, message: Message) -> Option<&HeaderMap> {
        match message {
            Message::Request => Some(&self.state.request.headers),
            Message::Response => self.state.response.as_ref().map(|parts| &parts.headers),
        }
    }

    /// Sets, adds or removes a field.
    pub(crate) fn change(
        &mut self,
        message: Message,
        change: Change,
        name: &str,
        value: &[u8],
    ) -> Result<(), HeaderError> {
        let name = fields::name(message, change, name)?;
        let value = fields::value(value)?;
        let state = &mut self.state;
        let fields = match message {
            Message::Request => &mut state.request.headers,
            Message::Response => match &mut state.response {
                Some(response) => &mut response.headers,
                None => return Err(HeaderError::Forbidden),
            },
        };
        if change == Change::Remove && !fields.contains_key(&name) {
            return Ok(());
        }
        self.spent.charge(name.as_str().len() + value.len())?;
        let full = match change {
            Change::Set => fields.try_insert(name, value).is_err(),
            Change::Add => fields.try_append(name, value).is_err(),
            Change::Remove => fields.remove(name).is_none(),
        };
        if full {
            Err(HeaderError::TooMany)
        } else {
            Ok(())
        }
    }

    pub(crate) fn set_path(&mut self, path: &str) -> Result<(), HeaderError> {
        let mut parts = self.state.request.uri.clone().into_parts();
        parts.path_and_query = Some(fields::path(path)?);
        let uri = http::Uri::from_parts(parts).map_err(|_| HeaderError::InvalidName)?;
        self.state.request.uri = uri;
        Ok(())
    }

    pub(crate) fn set_status(&mut self, status: u16) -> Result<(), HeaderError> {
        let status = fields::status(status)?;
        let response = self.state.response.as_mut();
        let response = response.ok_or(HeaderError::Forbidden)?;
        let is_empty = |status: http::StatusCode| matches!(status.as_u16(), 204 | 205 | 304);
        if is_empty(status) != is_empty(response.status) {
            return Err(HeaderError::InvalidValue);
        }
        response.status = status;
        Ok(())
    }

    /// The first cookie of a name, where it is text. What is not a pair is passed over.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        String::from_utf8(self.cookie_bytes(name)?.to_vec()).ok()
    }

    pub(crate) fn has_cookie(&self, name: &str) -> bool {
        self.cookie_bytes(name).is_some()
    }

    fn cookie_bytes(&self, name: &str) -> Option<&[u8]> {
        let fields = self.state.request.headers.get_all(http::header::COOKIE);
        let mut pairs = fields
            .iter()
            .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
            .take(MOST_COOKIES)
            .filter_map(|pair| {
                let (key, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
                Some((key.trim_ascii(), value.get(1..)?.trim_ascii()))
            });
        let found = pairs.find(|(key, _)| *key == name.as_bytes());
        found.map(|(_, value)| value)
    }

    /// The first parameter of a name.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.state.request.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        Some(value.into_owned())
    }

    /// Whether what has answered is where the filter's session goes on as it is.
    pub(crate) fn goes_on(&self) -> bool {
        let (Some(pin), Some((backend, endpoint))) = (&self.state.steering.pin, &self.answered_by)
        else {
            return false;
        };
        let hash = backend.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        pin.endpoint == *endpoint && pin.resumed == Some(hash)
    }

    /// What the filter has kept under a key.
    pub(crate) fn kept(&self, key: &str) -> Option<&[u8]> {
        let mut all = self.state.kept.iter();
        all.find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    pub(crate) fn keep(&mut self, key: &str, value: &[u8]) -> Result<(), HeaderError> {
        if key.len() > 128 || value.len() > 8 << 10 {
            return Err(HeaderError::TooLarge);
        }
        let kept = &mut self.state.kept;
        if let Some((_, slot)) = kept.iter_mut().find(|(name, _)| name == key) {
            *slot = value.into();
            return Ok(());
        }
        if kept.len() == 16 {
            return Err(HeaderError::TooMany);
        }
        kept.push((key.to_owned(), value.into()));
        Ok(())
    }

    /// Holds a permit until the request has ended.
    pub(crate) fn hold(&mut self, permit: Permit) {
        self.permits.push(permit);
    }
}

/// As in the gateway.
const MOST_COOKIES: usize = 500;
