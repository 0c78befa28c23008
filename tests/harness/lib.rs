//! Starts the real binary, backends and clients for whole-program tests.
//!
//! A test builds what it needs, starts it and claims something:
//!
//! ```ignore
//! let up = upstream().start().await;
//! let gw = gateway()
//!     .manifest(ingress("web").host("a.test").path("/", "svc", 80))
//!     .service("svc", 80, &[&up])
//!     .start()
//!     .await;
//! assert_eq!(gw.get("a.test", "/x").await.status, 200);
//! ```
//!
//! Nothing here knows the gateway's code: only its command line, its sockets and its log.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a harness that cannot go on fails its test"
)]

mod api;
mod binary;
mod certificates;
mod crowd;
mod frames;
mod gateway;
mod http1;
mod http2;
mod manifests;
mod plugins;
mod random;
mod tls;
mod upstream;
mod wait;
mod wire;

pub use api::{Api, Fault, Replacement, Streaming, api, nested, pods, tls_api};
pub use binary::{
    Outcome, portcullis, portcullis_command, portcullis_command_with_files, run, target, tool,
};
pub use certificates::{Authority, Pair, names_of, self_signed};
pub use crowd::{Client, Crowd};
pub use frames::{Frame, Frames, Kind, Verdict, block, field, flag, indexed_name};
pub use gateway::{Gateway, GatewayBuilder, gateway};
pub use http1::{Answer, Connection, Request, get, post, request};
pub use http2::{Http2, Http2Answer, Tunnel};
pub use manifests::{
    IngressBuilder, Object, Port, endpoint, ingress, ingress_class, secret, service, slice,
};
pub use plugins::{PluginBuilder, plugin};
pub use random::Random;
pub use tls::{Handshake, TlsOptions};
pub use upstream::{Gate, Payload, Reply, Seen, Upstream, UpstreamBuilder, upstream};
pub use wait::{DEADLINE, pause, until, within, within_time};
pub use wire::{Broken, Framing, Head, Stream, Wire};
