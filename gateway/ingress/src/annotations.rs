//! Every annotation that counts, and what its value means.
//!
//! A wrong value is a problem and counts as absent. Keys under `nginx.ingress.kubernetes.io/` mean
//! what they mean to ingress-nginx; our own key wins over one of these for the same setting.

pub(crate) mod value;

use std::time::Duration;

use route::Protocol;

use crate::{
    manifest::push_key,
    objects::model::Ingress,
    problem::{Problem, Severity},
};

/// What the annotations of an Ingress ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) filters: Vec<String>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Primary,
    /// An alternative of a primary, in the terms of ingress-nginx.
    Canary,
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
    for (key, value) in &ingress.annotations {
        let (family, known, rest) = if let Some(rest) = key.strip_prefix(NGINX) {
            (Severity::Warning, NGINX_KEYS, rest)
        } else if let Some(rest) = key.strip_prefix(OURS) {
            (Severity::Error, OUR_KEYS, rest)
        } else {
            continue;
        };
        let mut report = |severity, message: String, hint: String| {
            problems.push(
                ingress
                    .subject
                    .problem(severity, &field(key), message, hint),
            );
        };
        if family == Severity::Error && rest == "filters" {
            let items = value
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            draft.own.filters = items.map(str::to_owned).collect();
        }
        let Some((_, read)) = known.iter().find(|(name, _)| *name == rest) else {
            match family {
                Severity::Error => unknown_own(rest, report),
                Severity::Warning | Severity::Note => unknown_nginx(rest, value, report),
            }
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
    draft.role = match ingress.annotation(CANARY) {
        Some(value) if value::nginx_bool(value) == Some(true) => Role::Canary,
        Some(_) | None => Role::Primary,
    };
    draft.finish()
}

fn unknown_own(key: &str, mut report: impl FnMut(Severity, String, String)) {
    if key == "filters" || key.starts_with("filter.") {
        let message = "filters are not there yet; a route with a chain answers 503 plugin-missing";
        report(
            Severity::Error,
            message.to_owned(),
            "take the annotation out".to_owned(),
        );
        return;
    }
    let names = OUR_KEYS.iter().map(|(name, _)| *name).chain(["filters"]);
    let near = names.map(|name| (value::distance(name, key), name)).min();
    let hint = match near {
        Some((distance, name)) if distance <= 3 => format!("write {OURS}{name}"),
        Some(_) | None => {
            let names: Vec<_> = OUR_KEYS.iter().map(|(name, _)| *name).collect();
            format!("write one of {} after {OURS}", names.join(", "))
        }
    };
    report(
        Severity::Error,
        "the annotation is not known".to_owned(),
        hint,
    );
}

fn unknown_nginx(key: &str, value: &str, mut report: impl FnMut(Severity, String, String)) {
    let of_filters = |prefix: &&str| key.starts_with(*prefix) && !key.starts_with("limit-rate");
    if !["canary", "affinity", "session-cookie-", "limit-"]
        .iter()
        .any(of_filters)
    {
        let message = "the annotation is not known and does nothing".to_owned();
        report(
            Severity::Warning,
            message,
            "take it out once nothing depends on it".to_owned(),
        );
        return;
    }
    if key == "canary" && value::nginx_bool(value) != Some(true) {
        return;
    }
    let message = if key == "canary" {
        "canaries are not supported by this build yet; the rules of this Ingress are left out"
    } else {
        "filters are not supported by this build yet; the routes are served without it"
    };
    report(
        Severity::Error,
        message.to_owned(),
        "take the annotation out".to_owned(),
    );
}

/// How many letters must change to make one word of the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    value::distance(a, b)
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
    role: Role,
}

impl Draft {
    fn finish(self) -> Settings {
        let Self {
            own,
            own_redirect,
            own_protocol,
            nginx,
            nginx_redirect,
            nginx_force,
            read,
            send,
            role,
        } = self;
        let nginx_redirect = match (nginx_force, nginx_redirect) {
            (Some(true), _) => Redirect::Always,
            (Some(false) | None, Some(false)) => Redirect::Never,
            (Some(false) | None, Some(true) | None) => Redirect::WithTls,
        };
        Settings {
            filters: own.filters,
            protocol: own_protocol.unwrap_or(nginx.protocol),
            redirect: own_redirect.unwrap_or(nginx_redirect),
            hsts: own.hsts,
            max_body: own.max_body.or(nginx.max_body),
            connect_timeout: own.connect_timeout.or(nginx.connect_timeout),
            response_timeout: own.response_timeout.or(read),
            // One timeout covers reads and writes here: it never cuts what neither of the two would.
            idle_timeout: own.idle_timeout.or_else(|| read.max(send)),
            role,
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

/// Stores what a parser gave.
fn set<T>(slot: &mut Option<T>, value: Option<T>, hint: &'static str) -> Result<Fit, &'static str> {
    *slot = Some(value.ok_or(hint)?);
    Ok(Fit::Exact)
}

/// Our own keys, without [`OURS`].
const OUR_KEYS: &[(&str, Read)] = &[
    ("backend-protocol", |draft, value| {
        draft.own_protocol = Some(match value.trim().to_ascii_uppercase().as_str() {
            "HTTP" => Protocol::Http,
            "HTTPS" => Protocol::Https,
            "GRPC" => Protocol::Grpc,
            "H2C" => Protocol::H2c,
            _ => return Err("write HTTP, HTTPS, GRPC or H2C"),
        });
        Ok(Fit::Exact)
    }),
    ("ssl-redirect", |draft, value| {
        draft.own_redirect = Some(match value {
            "true" => Redirect::Always,
            "false" => Redirect::Never,
            _ => return Err("write \"true\" or \"false\""),
        });
        Ok(Fit::Exact)
    }),
    ("hsts", |draft, value| {
        let hint =
            "write it as Strict-Transport-Security has it: \"max-age=31536000; includeSubDomains\"";
        set(&mut draft.own.hsts, value::hsts(value), hint)
    }),
    ("max-body", |draft, value| {
        let hint = "write bytes or a quantity like 8Mi or 10M; 0 is unlimited";
        set(&mut draft.own.max_body, value::quantity(value), hint)
    }),
    ("connect-timeout", |draft, value| {
        set(
            &mut draft.own.connect_timeout,
            value::duration(value),
            DURATION,
        )
    }),
    ("response-timeout", |draft, value| {
        set(
            &mut draft.own.response_timeout,
            value::duration(value),
            DURATION,
        )
    }),
    ("idle-timeout", |draft, value| {
        set(
            &mut draft.own.idle_timeout,
            value::duration(value),
            DURATION,
        )
    }),
];

/// The keys of ingress-nginx, without [`NGINX`].
const NGINX_KEYS: &[(&str, Read)] = &[
    ("ssl-redirect", |draft, value| {
        set(&mut draft.nginx_redirect, value::nginx_bool(value), BOOL)
    }),
    ("force-ssl-redirect", |draft, value| {
        set(&mut draft.nginx_force, value::nginx_bool(value), BOOL)
    }),
    ("backend-protocol", |draft, value| {
        let mut fit = Fit::Exact;
        draft.nginx.protocol = match value.trim().to_ascii_uppercase().as_str() {
            "HTTP" => Protocol::Http,
            "HTTPS" => Protocol::Https,
            "GRPC" => Protocol::Grpc,
            "GRPCS" => Protocol::Grpcs,
            "AUTO_HTTP" => {
                fit = Fit::Nearly("AUTO_HTTP is taken as HTTP", "write HTTP or HTTPS");
                Protocol::Http
            }
            "FCGI" => {
                return Err(
                    "FastCGI is not supported: put a web server before the backend, and write HTTP",
                );
            }
            _ => return Err("write HTTP, HTTPS, GRPC or GRPCS"),
        };
        Ok(fit)
    }),
    ("proxy-body-size", |draft, value| {
        let hint = "write bytes or a size like 8m or 1g; 0 is unlimited";
        set(&mut draft.nginx.max_body, value::nginx_size(value), hint)
    }),
    ("proxy-connect-timeout", |draft, value| {
        set(
            &mut draft.nginx.connect_timeout,
            value::nginx_seconds(value),
            SECONDS,
        )
    }),
    ("proxy-read-timeout", |draft, value| {
        set(&mut draft.read, value::nginx_seconds(value), SECONDS)
    }),
    ("proxy-send-timeout", |draft, value| {
        set(&mut draft.send, value::nginx_seconds(value), SECONDS)
    }),
];

/// The prefix of our own annotations.
pub(crate) const OURS: &str = "portcullis.dev/";
/// The prefix of the annotations of ingress-nginx.
pub(crate) const NGINX: &str = "nginx.ingress.kubernetes.io/";
/// The class of an Ingress before there was a field for it.
pub(crate) const LEGACY_CLASS: &str = "kubernetes.io/ingress.class";
/// Marks an IngressClass as the cluster's default.
pub(crate) const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
const CANARY: &str = "nginx.ingress.kubernetes.io/canary";

const BOOL: &str = "write \"true\" or \"false\"";
const DURATION: &str = "write a number with its unit: 500ms, 30s, 5m or 1h";
const SECONDS: &str = "write whole seconds without a unit, as in \"60\"";
