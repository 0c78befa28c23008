//! Our own keys, but those of chains.

use route::Protocol;

use super::{Fit, Key, OURS, Redirect, nearest, set, value};
use crate::problem::Severity;

/// Reports a key of ours that is not known.
pub(super) fn unknown(key: &str, mut report: impl FnMut(Severity, String, String)) {
    let names: Vec<_> = KEYS
        .iter()
        .map(|(name, _)| *name)
        .chain(["filters"])
        .collect();
    let hint = match nearest(names.iter().copied(), key) {
        Some(name) => format!("write {OURS}{name}"),
        None => format!("write one of {} after {OURS}", names.join(", ")),
    };
    let message = "the annotation is not known".to_owned();
    report(Severity::Error, message, hint);
}

/// Our own keys, without [`OURS`].
pub(super) const KEYS: &[Key] = &[
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

const DURATION: &str = "write a number with its unit: 500ms, 30s, 5m or 1h";
