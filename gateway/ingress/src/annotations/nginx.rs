//! The keys of ingress-nginx about transport.

use route::Protocol;

use super::{BOOL, Fit, Key, set, value};
use crate::problem::Severity;

/// Reports a key of ingress-nginx that is not known.
pub(super) fn unknown(mut report: impl FnMut(Severity, String, String)) {
    let message = "the annotation is not known and does nothing".to_owned();
    let hint = "take it out once nothing depends on it".to_owned();
    report(Severity::Warning, message, hint);
}

/// The keys of ingress-nginx, without [`super::NGINX`].
pub(super) const KEYS: &[Key] = &[
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

const SECONDS: &str = "write whole seconds without a unit, as in \"60\"";
