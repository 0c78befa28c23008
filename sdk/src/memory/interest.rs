//! What the filter need not be called for, and what the gateway does in its place.

use super::{
    Exchange, Gateway, Message, Phase, Pin,
    bucket::Bucket,
    gateway::{client_key, stop},
};

/// What the configuration that was tried last has said.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// The fields and cookies of the requests that the filter is for.
    about: Option<[Vec<String>; 2]>,
    sessions: Option<Sessions>,
    tokens: Option<Tokens>,
}

#[derive(Debug)]
struct Sessions {
    cookie: String,
    strict: bool,
    balanced: bool,
}

#[derive(Debug)]
struct Tokens {
    bucket: Bucket,
    ipv6_prefix: u8,
    number: u32,
}

impl Gateway {
    fn configures(&self, otherwise: &'static str) {
        self.count();
        if !self.phase().is_none_or(|phase| phase == Phase::Configure) {
            stop(otherwise);
        }
    }

    pub(crate) fn is_for(&self, fields: &[&str], cookies: &[&str]) {
        self.configures("`requests-with` is for `configure`");
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let few = fields.len() + cookies.len() <= NAMES;
        self.interest.borrow_mut().about = few.then(|| [owned(fields), owned(cookies)]);
    }

    pub(crate) fn resume_sessions(&self, cookie: &str, strict: bool, balanced: bool) {
        self.configures("`resume-sessions` is for `configure`");
        self.interest.borrow_mut().sessions = Some(Sessions {
            cookie: cookie.to_owned(),
            strict,
            balanced,
        });
    }

    pub(crate) fn take_clients(&self, bucket: &Bucket, ipv6_prefix: u8, number: u32) {
        self.configures("`take-clients` is for `configure`");
        self.interest.borrow_mut().tokens = Some(Tokens {
            bucket: bucket.clone(),
            ipv6_prefix,
            number,
        });
    }

    /// Does what the filter has said that it would, if it has; false where its request hook is to be called.
    pub(crate) fn settles(&self, exchange: &mut Exchange) -> bool {
        let interest = self.interest.borrow();
        let covers = |about| is_about(about, exchange);
        if !interest.about.as_ref().is_none_or(covers) {
            return true;
        }
        let (sessions, tokens) = (&interest.sessions, &interest.tokens);
        (sessions.is_some() || tokens.is_some())
            && (sessions.as_ref()).is_none_or(|sessions| self.resumes(sessions, exchange))
            && (tokens.as_ref()).is_none_or(|tokens| self.takes(tokens, exchange))
    }

    fn resumes(&self, sessions: &Sessions, exchange: &mut Exchange) -> bool {
        let Some(value) = exchange.cookie(&sessions.cookie) else {
            return false;
        };
        let Some((key, endpoint, backend)) = session(&value) else {
            return false;
        };
        if !self.keeps_session(&exchange.state.steering, endpoint) {
            return false;
        }
        let steering = &mut exchange.state.steering;
        steering.pin = Some(Pin {
            endpoint: endpoint.to_owned(),
            strict: sessions.strict,
            resumed: Some(backend),
        });
        if sessions.balanced {
            steering.hash = Some(key.into());
        }
        true
    }

    fn takes(&self, tokens: &Tokens, exchange: &Exchange) -> bool {
        let key = client_key(exchange.facts.client, tokens.ipv6_prefix);
        let decision = tokens.bucket.take(&key, tokens.number, self.now.get());
        decision.allowed
    }
}

fn is_about([fields, cookies]: &[Vec<String>; 2], exchange: &Exchange) -> bool {
    let all = exchange.fields(Message::Request);
    let has = |name: &String| all.is_some_and(|all| all.contains_key(name));
    fields.iter().any(has) || cookies.iter().any(|name| exchange.has_cookie(name))
}

/// Key, endpoint and the backend's hash out of `KEY.ENDPOINT.BACKEND`; an endpoint's id may hold dots.
fn session(value: &str) -> Option<(&str, &str, u32)> {
    let (key, rest) = value.split_once('.')?;
    let (endpoint, backend) = rest.rsplit_once('.')?;
    let is_key = (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_hash = backend.len() == 8 && backend.bytes().all(digit);
    // RFC 6265, `cookie-octet`.
    let octet = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    let sound =
        is_key && is_hash && (1..=256).contains(&endpoint.len()) && endpoint.bytes().all(octet);
    sound.then_some((key, endpoint, u32::from_str_radix(backend, 16).ok()?))
}

/// How many names are looked for in each request.
const NAMES: usize = 64;
