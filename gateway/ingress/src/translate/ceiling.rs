//! Plugin objects as they are served: within the operator's ceilings.

use std::time::Duration;

use route::{Backends, Grants, Limits, Plugin};

use crate::{
    objects::{Objects, plugin::Plugin as Object},
    problem::{Problem, Severity},
};

use super::{Options, source};

/// What the operator gives no Plugin object more than.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// The CPU time of one hook: `--plugin-max-time`.
    pub time: Duration,
    /// The memory of one instance, in bytes: `--plugin-max-memory`.
    pub memory: usize,
    /// The grants that may be given at all, by their names in a Plugin; `None` for all:
    /// `--plugin-grants`.
    pub grants: Option<Vec<String>>,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(1),
            memory: 64 << 20,
            grants: None,
        }
    }
}

/// A Plugin object as it is served: within the ceilings.
pub(super) fn serve(
    object: &Object,
    objects: &Objects,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Plugin {
    let mut report = |severity, field: &str, message: String, hint: String| {
        problems.push(object.subject.problem(severity, field, message, hint));
    };
    let ceilings = &options.ceilings;
    let mut limits = object.limits.clone();
    // What a Plugin does not ask for is no reason for a word.
    let asks = |own: bool, cut: bool| own && cut;
    if asks(
        limits.time != Limits::default().time,
        limits.time > ceilings.time,
    ) {
        let message = format!("the operator gives plugins at most {:?}", ceilings.time);
        let hint = "write less, or raise --plugin-max-time".to_owned();
        report(Severity::Warning, "spec.limits.time", message, hint);
    }
    if asks(
        limits.memory != Limits::default().memory,
        limits.memory > ceilings.memory,
    ) {
        let message = format!(
            "the operator gives plugins at most {} bytes",
            ceilings.memory
        );
        let hint = "write less, or raise --plugin-max-memory".to_owned();
        report(Severity::Warning, "spec.limits.memory", message, hint);
    }
    limits.time = limits.time.min(ceilings.time);
    limits.memory = limits.memory.min(ceilings.memory);

    let mut grants = object.grants.clone();
    for name in take(&mut grants, ceilings.grants.as_deref()) {
        let message = format!("the operator gives no plugin the grant {name}; it is taken away");
        let hint = format!("take it out, or add {name} to --plugin-grants");
        report(
            Severity::Warning,
            &format!("spec.grants.{name}"),
            message,
            hint,
        );
    }
    Plugin {
        source: source::find(object, objects, options, problems),
        sha256: object.sha256.clone(),
        grants,
        limits,
        isolation: object.isolation,
        on_error: object.on_error,
    }
}

/// Takes away the grants that the operator does not give, and names them.
fn take(grants: &mut Grants, given: Option<&[String]>) -> Vec<&'static str> {
    let Some(given) = given else {
        return Vec::new();
    };
    let Grants {
        random,
        metrics,
        rate_limit,
        key_value,
        http,
        backends,
    } = grants;
    let none = Backends::default();
    let refused = |name: &str| !given.iter().any(|own| own == name);
    let mut taken = Vec::new();
    let mut check = |name: &'static str, has: bool| {
        let take = has && refused(name);
        if take {
            taken.push(name);
        }
        take
    };
    if check("http", !http.is_empty()) {
        http.clear();
    }
    if check("keyValue", key_value.is_some()) {
        *key_value = None;
    }
    *rate_limit &= !check("rateLimit", *rate_limit);
    *metrics &= !check("metrics", *metrics);
    *random &= !check("random", *random);
    if check("backends", *backends != none) {
        *backends = none;
    }
    taken
}
