//! What a component imports and exports, by name and version.

use std::fmt;

use crate::{Engine, component::LoadError};

/// What a plugin can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Random numbers.
    Random,
    /// Its own series in `/metrics`.
    Metrics,
    /// Token buckets and permits.
    RateLimit,
    /// Values in memory.
    KeyValue,
}

impl Capability {
    /// The name of its interface in `portcullis:filter`.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Metrics => "metrics",
            Self::RateLimit => "rate-limit",
            Self::KeyValue => "key-value",
        }
    }

    /// What to write under `grants`.
    pub fn grant(self) -> &'static str {
        match self {
            Self::Random => "random: true",
            Self::Metrics => "metrics: true",
            Self::RateLimit => "rateLimit: true",
            Self::KeyValue => "keyValue: {maxBytes: 1Mi}",
        }
    }

    const ALL: [Self; 4] = [Self::Random, Self::Metrics, Self::RateLimit, Self::KeyValue];
}

/// When a component is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// With the head of a request.
    Request,
    /// With the head of a response.
    Response,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request-hook",
            Self::Response => "response-hook",
        })
    }
}

/// What a component needs and gives.
pub(super) struct World {
    pub(super) capabilities: Vec<Capability>,
    pub(super) hooks: Vec<Hook>,
}

pub(super) fn check(
    engine: &Engine,
    compiled: &wasmtime::component::Component,
) -> Result<World, LoadError> {
    let ty = compiled.component_type();
    let mut capabilities = Vec::new();
    for (name, _) in ty.imports(engine.inner()) {
        let Some(interface) = ours(name)? else {
            return Err(LoadError::Foreign {
                name: name.to_owned(),
            });
        };
        let mut all = Capability::ALL.into_iter();
        match all.find(|capability| capability.interface() == interface) {
            Some(capability) => capabilities.push(capability),
            None if UNGRANTED.contains(&interface) => {}
            None => return Err(unavailable(interface)),
        }
    }

    let mut hooks = Vec::new();
    let mut plugin = false;
    for (name, _) in ty.exports(engine.inner()) {
        // What it exports besides is its own affair.
        match ours(name)? {
            Some("plugin") => plugin = true,
            Some("request-hook") => hooks.push(Hook::Request),
            Some("response-hook") => hooks.push(Hook::Response),
            Some(hook) if hook.ends_with("-hook") => return Err(unavailable(hook)),
            Some(_) | None => {}
        }
    }
    if !plugin {
        return Err(LoadError::NoPlugin);
    }
    if hooks.is_empty() {
        return Err(LoadError::NoHook);
    }
    Ok(World {
        capabilities,
        hooks,
    })
}

/// The interface of `portcullis:filter` that a name means, if it does, of a version that we have.
fn ours(name: &str) -> Result<Option<&str>, LoadError> {
    let Some(rest) = name.strip_prefix("portcullis:filter/") else {
        return Ok(None);
    };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, "none"));
    let patch = version.strip_prefix("0.1.");
    if patch.is_none_or(|patch| patch.parse::<u32>().is_err()) {
        return Err(LoadError::Version {
            found: version.to_owned(),
        });
    }
    Ok(Some(interface))
}

fn unavailable(interface: &str) -> LoadError {
    LoadError::Unavailable {
        interface: format!("portcullis:filter/{interface}"),
    }
}

/// What every plugin may import.
const UNGRANTED: [&str; 3] = ["types", "log", "clock"];
