//! Every annotation that counts, and what its value means.
//!
//! A wrong value is a problem and counts as absent. Keys under `nginx.ingress.kubernetes.io/` mean
//! what they mean to ingress-nginx; our own key wins over one of these for the same setting.

mod affinity;
mod canary;
mod chain;
mod limits;
mod nginx;
mod own;
pub(crate) mod value;

use std::time::Duration;

use route::Protocol;
use serde_json::{Map, Value};

use crate::{
    manifest::push_key,
    objects::model::Ingress,
    problem::{Problem, Severity, Subject},
};

pub(crate) use affinity::{AFFINITY, Affinity, DEFAULT_COOKIE, Moves};
pub(crate) use canary::Canary;
pub(crate) use chain::{Item, Name, Written, chain_key, config_key};

/// What the annotations of an Ingress ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    /// The chain that is named.
    pub(crate) chain: Vec<Item>,
    /// Limits by the keys of ingress-nginx.
    pub(crate) limits: Option<Derived>,
    /// Sessions by the keys of ingress-nginx.
    pub(crate) affinity: Option<Affinity>,
    pub(crate) protocol: Protocol,
    pub(crate) redirect: Redirect,
    pub(crate) hsts: Option<String>,
    pub(crate) max_body: Option<u64>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) response_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) role: Role,
}

/// When plain HTTP is redirected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// Where the host has TLS.
    #[default]
    WithTls,
    Always,
    Never,
}

/// What an Ingress is to others with the same host and path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Role {
    #[default]
    Primary,
    /// An alternative of a primary, in the terms of ingress-nginx.
    Canary(Canary),
}

/// A shipped filter that keys of ingress-nginx ask for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Derived {
    /// The key that asks for it.
    pub(crate) key: &'static str,
    pub(crate) config: Map<String, Value>,
}

/// Whether an annotation is worth keeping.
pub(crate) fn concerns_us(key: &str) -> bool {
    key.starts_with(OURS) || key.starts_with(NGINX) || key == LEGACY_CLASS
}

/// The field of an annotation.
pub(crate) fn field(key: &str) -> String {
    let mut field = "metadata.annotations".to_owned();
    push_key(&mut field, key);
    field
}

/// Reads the annotations of an Ingress.
pub(crate) fn parse(ingress: &Ingress, problems: &mut Vec<Problem>) -> Settings {
    let mut draft = Draft::default();
    let mut reporter = Reporter {
        subject: &ingress.subject,
        problems,
    };
    for (key, value) in &ingress.annotations {
        let mut report = |severity, message, hint| reporter.report(severity, key, message, hint);
        let (family, read) = if let Some(rest) = key.strip_prefix(NGINX) {
            let Some(read) = find(&NGINX_FAMILIES, rest) else {
                nginx::unknown(report);
                continue;
            };
            (Severity::Warning, read)
        } else if let Some(rest) = key.strip_prefix(OURS) {
            if chain::is_key(rest) {
                continue;
            }
            let Some(read) = find(&[own::KEYS], rest) else {
                own::unknown(rest, report);
                continue;
            };
            (Severity::Error, read)
        } else {
            continue;
        };
        match read(&mut draft, value) {
            Ok(Fit::Exact) => {}
            Ok(Fit::Nearly(message, hint)) => {
                report(Severity::Note, message.to_owned(), hint.to_owned());
            }
            Err(hint) => {
                let value = crate::manifest::shorten(value);
                let message =
                    format!("the value \"{value}\" is not understood and counts as absent");
                report(family, message, hint.to_owned());
            }
        }
    }
    draft.own.chain = chain::read(ingress, &mut reporter);
    draft.finish(ingress, &mut reporter)
}

fn find(families: &[&[Key]], key: &str) -> Option<Read> {
    let mut keys = families.iter().flat_map(|family| family.iter());
    keys.find(|(name, _)| *name == key).map(|(_, read)| *read)
}

/// How many letters must change to make one word of the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    value::distance(a, b)
}

/// The name that a word was surely meant to be, if one is near.
pub(crate) fn nearest<'n>(names: impl IntoIterator<Item = &'n str>, word: &str) -> Option<&'n str> {
    let near = names.into_iter().map(|name| (distance(name, word), name));
    let limit = 3.min(word.chars().count() / 2);
    near.filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Where problems of an Ingress's annotations go.
pub(crate) struct Reporter<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) problems: &'a mut Vec<Problem>,
}

impl Reporter<'_> {
    pub(crate) fn report(
        &mut self,
        severity: Severity,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let problem = self.subject.problem(severity, &field(key), message, hint);
        self.problems.push(problem);
    }

    /// The same for a key of ingress-nginx, without [`NGINX`].
    fn warn(&mut self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Severity::Warning, &format!("{NGINX}{key}"), message, hint);
    }
}

/// Settings while they are read.
#[derive(Default)]
struct Draft {
    own: Settings,
    own_redirect: Option<Redirect>,
    own_protocol: Option<Protocol>,
    nginx: Settings,
    nginx_redirect: Option<bool>,
    nginx_force: Option<bool>,
    read: Option<Duration>,
    send: Option<Duration>,
    limits: limits::Draft,
    affinity: affinity::Draft,
    canary: canary::Draft,
}

impl Draft {
    fn finish(self, ingress: &Ingress, reporter: &mut Reporter<'_>) -> Settings {
        let Self {
            own,
            own_redirect,
            own_protocol,
            nginx,
            nginx_redirect,
            nginx_force,
            read,
            send,
            limits,
            affinity,
            canary,
        } = self;
        let nginx_redirect = match (nginx_force, nginx_redirect) {
            (Some(true), _) => Redirect::Always,
            (Some(false) | None, Some(false)) => Redirect::Never,
            (Some(false) | None, Some(true) | None) => Redirect::WithTls,
        };
        Settings {
            chain: own.chain,
            limits: limits.finish(reporter),
            affinity: affinity.finish(ingress, reporter),
            protocol: own_protocol.unwrap_or(nginx.protocol),
            redirect: own_redirect.unwrap_or(nginx_redirect),
            hsts: own.hsts,
            max_body: own.max_body.or(nginx.max_body),
            connect_timeout: own.connect_timeout.or(nginx.connect_timeout),
            response_timeout: own.response_timeout.or(read),
            // One timeout covers reads and writes here: it never cuts what neither of the two would.
            idle_timeout: own.idle_timeout.or_else(|| read.max(send)),
            role: canary.finish(ingress, reporter),
        }
    }
}

/// How well a value says what it does here.
enum Fit {
    Exact,
    /// What is different, and what to write.
    Nearly(&'static str, &'static str),
}

/// Reads a value into the draft; the error says what to write.
type Read = fn(&mut Draft, &str) -> Result<Fit, &'static str>;

/// A key without its prefix, and what reads it.
type Key = (&'static str, Read);

/// Stores what a parser gave.
fn set<T>(slot: &mut Option<T>, value: Option<T>, hint: &'static str) -> Result<Fit, &'static str> {
    *slot = Some(value.ok_or(hint)?);
    Ok(Fit::Exact)
}

const NGINX_FAMILIES: [&[Key]; 4] = [nginx::KEYS, limits::KEYS, affinity::KEYS, canary::KEYS];

/// The prefix of our own annotations.
pub(crate) const OURS: &str = "portcullis.dev/";
/// The prefix of the annotations of ingress-nginx.
pub(crate) const NGINX: &str = "nginx.ingress.kubernetes.io/";
/// The class of an Ingress before there was a field for it.
pub(crate) const LEGACY_CLASS: &str = "kubernetes.io/ingress.class";
/// Marks an IngressClass as the cluster's default.
pub(crate) const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
/// Makes an Ingress an alternative of another one.
pub(crate) const CANARY_KEY: &str = "nginx.ingress.kubernetes.io/canary";

const BOOL: &str = "write \"true\" or \"false\"";
