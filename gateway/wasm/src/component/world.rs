//! What a component imports and exports, by name and version.

use std::fmt;

use crate::{Engine, component::LoadError, text::line};

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
    /// Requests to other servers.
    HttpClient,
}

impl Capability {
    /// The name of its interface in `portcullis:filter`.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Metrics => "metrics",
            Self::RateLimit => "rate-limit",
            Self::KeyValue => "key-value",
            Self::HttpClient => "http-client",
        }
    }

    /// What to write under `grants`.
    pub fn grant(self) -> &'static str {
        match self {
            Self::Random => "random: true",
            Self::Metrics => "metrics: true",
            Self::RateLimit => "rateLimit: true",
            Self::KeyValue => "keyValue: {maxBytes: 1Mi}",
            Self::HttpClient => "http: [api.example.com]",
        }
    }

    const ALL: [Self; 5] = [
        Self::Random,
        Self::Metrics,
        Self::RateLimit,
        Self::KeyValue,
        Self::HttpClient,
    ];
}

/// When a component is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// With the head of a request.
    Request,
    /// With the head of a response.
    Response,
    /// With the whole body of a request.
    RequestBody,
    /// With the whole body of a response.
    ResponseBody,
    /// With each piece of a response's body.
    ResponseStream,
}

impl Hook {
    /// The name of its interface in `portcullis:filter`.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Request => "request-hook",
            Self::Response => "response-hook",
            Self::RequestBody => "request-body-hook",
            Self::ResponseBody => "response-body-hook",
            Self::ResponseStream => "response-stream-hook",
        }
    }

    /// The name of its function there.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Request => "on-request",
            Self::Response => "on-response",
            Self::RequestBody => "on-request-body",
            Self::ResponseBody => "on-response-body",
            Self::ResponseStream => "on-response-chunk",
        }
    }

    const ALL: [Self; 5] = [
        Self::Request,
        Self::Response,
        Self::RequestBody,
        Self::ResponseBody,
        Self::ResponseStream,
    ];
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.interface())
    }
}

/// What a component needs and gives.
pub(super) struct World {
    /// The interfaces that it imports, but for `types`.
    pub(super) imports: Vec<String>,
    pub(super) capabilities: Vec<Capability>,
    pub(super) hooks: Vec<Hook>,
}

pub(super) fn check(
    engine: &Engine,
    compiled: &wasmtime::component::Component,
) -> Result<World, LoadError> {
    let ty = compiled.component_type();
    let (mut imports, mut capabilities) = (Vec::new(), Vec::new());
    for (name, _) in ty.imports(engine.inner()) {
        let Some(interface) = ours(name)? else {
            return Err(LoadError::Foreign {
                name: line(name, 200),
            });
        };
        let mut all = Capability::ALL.into_iter();
        match all.find(|capability| capability.interface() == interface) {
            Some(capability) => capabilities.push(capability),
            None if UNGRANTED.contains(&interface) => {}
            None => return Err(unavailable(interface)),
        }
        if interface != "types" {
            imports.push(interface.to_owned());
        }
    }

    let mut hooks = Vec::new();
    let mut plugin = false;
    for (name, _) in ty.exports(engine.inner()) {
        // What it exports besides is its own affair.
        let Some(interface) = ours(name)? else {
            continue;
        };
        plugin |= interface == "plugin";
        let mut all = Hook::ALL.into_iter();
        match all.find(|hook| hook.interface() == interface) {
            Some(hook) => hooks.push(hook),
            // It would never be called.
            None if interface.ends_with("-hook") => return Err(unavailable(interface)),
            None => {}
        }
    }
    if !plugin {
        return Err(LoadError::NoPlugin);
    }
    if hooks.is_empty() {
        return Err(LoadError::NoHook);
    }
    Ok(World {
        imports,
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
            found: line(version, 200),
        });
    }
    Ok(Some(interface))
}

fn unavailable(interface: &str) -> LoadError {
    LoadError::Unavailable {
        interface: line(&format!("portcullis:filter/{interface}"), 200),
    }
}

/// What every plugin may import.
const UNGRANTED: [&str; 4] = ["types", "log", "clock", "interest"];
