//! Kubernetes objects in, [`route::Config`] out.
//!
//! Sources feed [`Objects`]; [`translate`] is pure and total: a bad object is a [`Problem`] and never
//! hurts another one. This is the only room that names Kubernetes types; it knows nothing of the proxy,
//! its sockets and its TLS.
#![forbid(unsafe_code)]

mod folder;

mod cluster;

mod manifest;

mod parallel;

mod objects;

mod annotations;

mod translate;

mod problem;

pub use cluster::{
    Access, AccessError, Cluster, Leave, Place, PluginState, Publishing, WatchState,
};
pub use folder::{Folder, SourceError, Waker, Watch};
pub use objects::{CertificateFacts, Changes, Inspect, Kind, Object, Objects};
pub use problem::{Problem, Severity};
pub use translate::{Ceilings, Mode, Options, Translation, translate};

#[cfg(test)]
mod fixture;
