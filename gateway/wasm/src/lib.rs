//! The sandbox: WebAssembly components as filters of the proxy.
//!
//! Bytes become a checked [`Component`], with a name, grants and limits a [`Plugin`], with a
//! configuration an [`Attachment`], and that is a filter of a chain as [`Attached`]. A worker's
//! [`Instances`] run its hooks on a [`proxy::filter::Exchange`], or threads beside the workers do.
//! Whatever a guest does ends in a verdict or in a typed [`Failure`]. This knows no Kubernetes, and is the
//! only room that names wasmtime.
#![deny(unsafe_code)]

mod bindings;
mod clock;
mod engine;
mod exports;

mod attachment;
mod component;
mod plugin;

mod host;
mod limits;

mod allowance;
mod aside;
mod attached;
mod breaker;
mod callouts;
mod failure;
mod filter;
mod flood;
mod instance;
mod instances;
mod schema;
mod statistics;
mod text;

pub use attached::{Attached, tidy};
pub use attachment::Attachment;
pub use callouts::{CalloutError, Callouts, HttpSettings, Roots, RootsError};
pub use component::{Capability, Component, Hook, Info, LoadError, MOST_CODE, private_folder};
pub use engine::{Engine, EngineError, Fetching, Pooling, Settings};
pub use failure::{ConfigError, Failure};
pub use host::{Counted, Sample, Shared};
pub use instances::Instances;
pub use plugin::{Plugin, PluginSpec};
pub use statistics::InstanceCounts;
