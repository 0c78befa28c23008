//! What should happen: the configuration as plain data, and matching over it.
//!
//! This room is pure. It knows no IO, no clock, no async, and neither Kubernetes nor HTTP servers;
//! the same code decides for the data plane, for `portcullis explain` and for the tests.
#![forbid(unsafe_code)]

mod config;
mod host;
mod path;
mod plugin;
mod table;

pub use config::{
    Backend, Certificate, Cluster, ClusterId, Config, Endpoint, EndpointState, HostDefault,
    IngressName, Protocol, Route, Rule, Target,
};
pub use host::{Authority, HostError, HostPattern};
pub use path::{PathError, PathPattern, collapse, normalise};
pub use plugin::{
    Backends, FilterRef, Grants, Image, Isolation, Limits, Login, OnError, Plugin, PluginId, Source,
};
pub use table::{Candidate, Found, Match, Table, Verdict};
