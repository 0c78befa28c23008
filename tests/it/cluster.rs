//! The gateway on a cluster: an API server double that speaks the real protocol, and fails on demand.

mod access;
mod alone;
mod churn;
mod events;
mod faults;
mod leader;
mod named;
mod optional;
mod pod;
mod refused;
mod silence;
mod status;
mod watching;

use harness::{Api, Gateway, Upstream, api, gateway, ingress, upstream};

/// An API server with one route.
async fn routed() -> (Api, Upstream) {
    let up = upstream().start().await;
    let api = api().await;
    api.service("svc", 80, &[&up]);
    api.apply(ingress("web").host("a.test").path("/", "svc", 80));
    (api, up)
}

/// An API server with one route, and a gateway on it.
async fn serving() -> (Api, Upstream, Gateway) {
    let (api, up) = routed().await;
    let gw = gateway().cluster(&api).start().await;
    (api, up, gw)
}
