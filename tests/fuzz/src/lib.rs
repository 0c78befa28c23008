//! The fuzz targets: each is a module with a function that takes any bytes, and panics where its oracle is hurt.
//!
//! `fuzz_targets/` has each as a program for libFuzzer; `tests/smoke.rs` runs all of them without it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "oracles fail as tests do"
)]

pub mod annotations;
pub mod certificate;
pub mod chunk;
pub mod filters;
pub mod head;
pub mod host;
pub mod http2;
pub mod manifest;
pub mod path;
pub mod response;
pub mod route;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod upgrade;

pub mod support;

/// A target's function.
pub type Run = fn(&[u8]);

/// All targets by name, but that of the sandbox, which not every build has.
pub const TARGETS: [(&str, Run); 12] = [
    ("annotations", annotations::run),
    ("certificate", certificate::run),
    ("chunk", chunk::run),
    ("filters", filters::run),
    ("head", head::run),
    ("host", host::run),
    ("http2", http2::run),
    ("manifest", manifest::run),
    ("path", path::run),
    ("response", response::run),
    ("route", route::run),
    ("upgrade", upgrade::run),
];
