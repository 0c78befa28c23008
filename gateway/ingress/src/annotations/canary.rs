//! Canaries, in the terms of ingress-nginx: which requests of a primary an Ingress takes.

use serde_json::{Map, Value};

use super::{BOOL, Key, LEGACY_CLASS, NGINX, Reporter, Role, set, value};
use crate::{objects::model::Ingress, problem::Severity};

/// Which requests a canary takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Canary {
    /// A backend of the filter `canary`, without service and port.
    pub(crate) choice: Map<String, Value>,
    /// What the weight is a part of.
    pub(crate) total: u32,
}

/// The keys while they are read.
#[derive(Default)]
pub(super) struct Draft {
    enabled: Option<bool>,
    header: Option<String>,
    header_value: Option<String>,
    header_pattern: Option<String>,
    cookie: Option<String>,
    weight: Option<u32>,
    total: Option<u32>,
}

impl Draft {
    pub(super) fn finish(self, ingress: &Ingress, reporter: &mut Reporter<'_>) -> Role {
        if self.enabled != Some(true) {
            self.report_idle(ingress, reporter);
            return Role::Primary;
        }
        report_ignored(ingress, reporter);
        for (key, present) in [
            ("canary-by-header-value", self.header_value.is_some()),
            ("canary-by-header-pattern", self.header_pattern.is_some()),
        ] {
            if present && self.header.is_none() {
                let message = "the annotation does nothing without canary-by-header";
                let hint = format!("write {NGINX}canary-by-header, or take it out");
                reporter.warn(key, message, hint);
            }
        }
        if self.header.is_none() && self.cookie.is_none() && self.weight.is_none() {
            let message = "the canary says nothing of its requests, and gets none";
            let hint = "write canary-weight, canary-by-header or canary-by-cookie";
            reporter.report(Severity::Note, &format!("{NGINX}{CANARY}"), message, hint);
        }
        // A total counts there only where it is more than the default.
        let total = self.total.unwrap_or_default().max(DEFAULT_TOTAL);
        let mut choice = Map::new();
        if let Some(header) = self.header {
            choice.insert("header".to_owned(), header.into());
            // With a value, the pattern means nothing there.
            if let Some(text) = self.header_value {
                choice.insert("headerValue".to_owned(), text.into());
            } else if let Some(pattern) = self.header_pattern {
                choice.insert("headerPattern".to_owned(), pattern.into());
                choice.insert("invalidPattern".to_owned(), "never".into());
            }
        }
        if let Some(cookie) = self.cookie {
            choice.insert("cookie".to_owned(), cookie.into());
        }
        let weight = self.weight.unwrap_or_default().min(total);
        choice.insert("weight".to_owned(), weight.into());
        Role::Canary(Canary { choice, total })
    }

    /// Reports keys of a canary that is none.
    fn report_idle(&self, ingress: &Ingress, reporter: &mut Reporter<'_>) {
        let asks = self.header.is_some()
            || self.header_value.is_some()
            || self.header_pattern.is_some()
            || self.cookie.is_some()
            || self.weight.is_some_and(|weight| weight > 0);
        let keys = ingress.annotations.iter().map(|(key, _)| key);
        let mut keys = keys.filter(|key| is_of_canaries(key));
        let first = keys.find(|key| key.strip_prefix(NGINX) != Some(CANARY));
        if let Some(key) = first.filter(|_| asks) {
            let message =
                "a canary is configured but not enabled; the Ingress is served as any other";
            let hint =
                format!("write {NGINX}{CANARY}: \"true\", or take the canary-* annotations out");
            reporter.report(Severity::Error, key, message, hint);
        }
    }
}

/// A canary has its own rules alone from its Ingress; all else is the primary's.
fn report_ignored(ingress: &Ingress, reporter: &mut Reporter<'_>) {
    let keys = ingress.annotations.iter().map(|(key, _)| key.as_str());
    let others: Vec<_> = keys
        .filter(|key| *key != LEGACY_CLASS && !is_of_canaries(key))
        .collect();
    if let Some(first) = others.first() {
        let message = format!(
            "an Ingress that is a canary goes by the annotations of its primary; ignored: {}",
            others.join(", ")
        );
        let hint = "write them on the primary, or take them out";
        reporter.report(Severity::Note, first, message, hint);
    }
}

fn is_of_canaries(key: &str) -> bool {
    let rest = key.strip_prefix(NGINX);
    rest.is_some_and(|rest| rest == CANARY || rest.starts_with("canary-"))
}

/// The keys, without [`NGINX`].
pub(super) const KEYS: &[Key] = &[
    (CANARY, |draft, text| {
        set(&mut draft.canary.enabled, value::nginx_bool(text), BOOL)
    }),
    ("canary-by-header", |draft, text| {
        // That controller compares names with one for the other.
        let name = value::token(text).map(|name| name.replace('_', "-"));
        set(&mut draft.canary.header, name, "write the name of a header")
    }),
    ("canary-by-header-value", |draft, text| {
        let wanted = Some(text.to_owned()).filter(|text| !text.is_empty());
        set(
            &mut draft.canary.header_value,
            wanted,
            "write the value, or take it out",
        )
    }),
    ("canary-by-header-pattern", |draft, text| {
        let wanted = Some(text.to_owned()).filter(|text| !text.is_empty());
        set(
            &mut draft.canary.header_pattern,
            wanted,
            "write a pattern, or take it out",
        )
    }),
    ("canary-by-cookie", |draft, text| {
        set(
            &mut draft.canary.cookie,
            value::token(text),
            "write the name of a cookie",
        )
    }),
    ("canary-weight", |draft, text| {
        set(&mut draft.canary.weight, value::nginx_number(text), NUMBER)
    }),
    ("canary-weight-total", |draft, text| {
        set(&mut draft.canary.total, value::nginx_number(text), NUMBER)
    }),
];

const CANARY: &str = "canary";
const DEFAULT_TOTAL: u32 = 100;
const NUMBER: &str = "write a whole number, as in \"10\"";
