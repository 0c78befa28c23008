//! Whole-program tests: the real binary, real sockets, loopback only.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod admin;
mod author;
mod backends;
mod c;
mod check;
mod cluster;
mod conformance;
mod deploy;
mod examples;
mod explain;
mod filters;
#[expect(dead_code, reason = "the sandbox's own tests use the rest of it")]
#[path = "../../gateway/wasm/tests/it/guests.rs"]
mod guests;
mod h2;
mod lifecycle;
mod limits;
mod overload;
mod plugins;
mod proxying;
mod reload;
mod routing;
mod smuggling;
mod stalls;
mod supply;
mod tidy;
mod tls;
mod upstreams;

use harness::{GatewayBuilder, Upstream, gateway, ingress};

/// A gateway that sends everything for `a.test` to one backend.
fn in_front_of(up: &Upstream) -> GatewayBuilder {
    gateway()
        .manifest(ingress("web").host("a.test").path("/", "svc", 80))
        .service("svc", 80, &[up])
}
