//! The data plane: sockets, TLS, HTTP, upstreams. It knows neither Kubernetes nor WebAssembly.
//!
//! A request's path, top to bottom: [`listener`] → `connection` → [`tls`] → `guard` → `request`
//! { snapshot → route → upstream → response }. A change's: [`Gateway::publish`] → `snapshot`.
#![forbid(unsafe_code)]

mod gateway;
mod settings;
mod worker;

mod connection;
mod linger;
mod listener;
mod proxy_protocol;
mod stream;
mod tls;

mod gather;
mod guard;
mod overload;
mod stalls;
mod sweep;
mod waits;

mod answer;
mod authority;
mod body;
mod content_length;
mod exchange;
pub mod filter;
mod forwarded;
mod hop;
mod method;
mod outgoing;
mod patience;
mod redirect;
mod request;
mod response;
mod trailers;
mod upgrade;

mod cluster;
mod resolver;
mod upstream;

mod explain;
mod snapshot;

mod access;
mod error;
mod metrics;

#[cfg(feature = "testing")]
pub mod testing;

pub use access::AccessLog;
pub use explain::{Ask, Explanation, RouteView};
pub use gateway::{Gateway, StartError, Workers};
pub use listener::{BindError, Listeners};
pub use overload::Pressure;
pub use settings::{Limits, Settings, Timeouts, UpstreamLimits};
pub use snapshot::{CertificateProblem, Snapshot};
pub use tls::{CertificateError, CertificateInfo, inspect_certificate};
