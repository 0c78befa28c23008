//! One backend, with the rules that choose it.

use portcullis_sdk::prelude::*;
use session::backend_hash;

use crate::{
    config::{BackendConfig, InvalidPattern},
    pattern::Pattern,
};

/// A backend, with the rules that choose it.
pub(crate) struct Backend {
    /// `service:port`.
    name: String,
    /// What its sessions' cookies call it.
    session: String,
    header: Option<(String, Rule)>,
    cookie: Option<String>,
    weight: u32,
}

/// What a header's value means.
enum Rule {
    /// `always` and `never`.
    Words,
    /// This value chooses the backend; `always` and `never` are values as others.
    Value(Vec<u8>),
    /// What this is found in chooses the backend.
    Pattern(Pattern),
    /// A pattern that is not understood: what has the header stays with the Ingress's own backend.
    Broken,
}

/// What the rules of one backend say about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It goes there.
    It,
    /// They leave it open.
    Open,
    /// It does not go there.
    RuledOut,
}

impl Backend {
    /// The backend at this place of the configuration.
    pub(crate) fn new(index: usize, config: BackendConfig) -> Result<Self, ConfigError> {
        let name = format!("{}:{}", config.service, config.port.0);
        let rule = match (config.header_value, config.header_pattern) {
            (Some(value), _) => Rule::Value(value.into_bytes()),
            (None, Some(text)) => match Pattern::new(&text) {
                Ok(pattern) => Rule::Pattern(pattern),
                Err(_) if config.invalid_pattern == InvalidPattern::Never => Rule::Broken,
                Err(why) => {
                    let pointer = format!("/backends/{index}/headerPattern");
                    return Err(ConfigError::new(pointer, why));
                }
            },
            (None, None) => Rule::Words,
        };
        Ok(Self {
            session: backend_hash(&name),
            name,
            header: config.header.map(|header| (header, rule)),
            cookie: config.cookie,
            weight: config.weight,
        })
    }

    /// `service:port`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What its sessions' cookies call it.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// The header that its rules look at.
    pub(crate) fn header(&self) -> Option<&str> {
        self.header.as_ref().map(|(name, _)| name.as_str())
    }

    /// The cookie that its rules look at.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Its share.
    pub(crate) fn weight(&self) -> u32 {
        self.weight
    }

    /// What its rules say: the header's first, then the cookie's.
    pub(crate) fn by_rule(&self, request: &Request) -> Choice {
        let by_header = self.by_header(request);
        if by_header != Choice::Open {
            return by_header;
        }
        let cookie = self.cookie.as_ref();
        let value = cookie.and_then(|name| request.cookie(name));
        value.map_or(Choice::Open, |value| by_word(value.as_bytes()))
    }

    fn by_header(&self, request: &Request) -> Choice {
        let Some((name, rule)) = &self.header else {
            return Choice::Open;
        };
        let Some(value) = request.header(name) else {
            return Choice::Open;
        };
        let matches = match rule {
            Rule::Words => return by_word(&value),
            Rule::Broken => return Choice::RuledOut,
            Rule::Value(expected) => value == *expected,
            Rule::Pattern(pattern) => pattern.is_found_in(&value),
        };
        if matches { Choice::It } else { Choice::Open }
    }
}

fn by_word(value: &[u8]) -> Choice {
    match value {
        b"always" => Choice::It,
        b"never" => Choice::RuledOut,
        _ => Choice::Open,
    }
}
