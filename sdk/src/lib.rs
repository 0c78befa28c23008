//! Filters for the Portcullis gateway. A filter is a struct, a configuration, and the hooks that it
//! needs:
//!
//! ```
//! use portcullis_sdk::prelude::*;
//!
//! /// What stands under `portcullis.dev/filter.hello`.
//! #[config]
//! struct Config {
//!     /// Whom to greet.
//!     name: String,
//! }
//!
//! struct Hello(Config);
//!
//! #[filter]
//! impl Filter for Hello {
//!     type Config = Config;
//!
//!     fn new(config: Config) -> Result<Self, ConfigError> {
//!         Ok(Self(config))
//!     }
//!
//!     fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
//!         request.set_header("x-hello", &self.0.name)?;
//!         Ok(RequestVerdict::Next)
//!     }
//! }
//!
//! use portcullis_sdk::testing::{filter, get, json};
//! let hello = filter::<Hello>(json!({"name": "you"}));
//! assert_eq!(hello.request(get("/")).header("x-hello"), Some("you"));
//! ```
//!
//! `cargo build --target wasm32-unknown-unknown` makes of it what the gateway loads; `cargo test` runs
//! it against a gateway in memory, without WebAssembly: see [`testing`].

pub use portcullis_sdk_macros::{config, filter};
pub use schemars;
pub use serde;
pub use serde_json;

mod configuration;
#[doc(hidden)]
pub mod export;
mod failure;
mod filter;
mod message;
mod request;
mod response;
mod sys;
mod verdict;

pub mod clock;
pub mod http_client;
pub mod interest;
pub mod key_value;
pub mod log;
pub mod metrics;
pub mod random;
pub mod rate_limit;

#[cfg(not(target_family = "wasm"))]
mod memory;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use configuration::ConfigError;
pub use failure::{Failure, Result};
pub use filter::Filter;
pub use message::{Header, HeaderError, RerouteError};
pub use request::Request;
pub use response::Response;
pub use verdict::{BodyVerdict, ChunkVerdict, LocalResponse, RequestVerdict, ResponseVerdict};

/// What a filter needs most: `use portcullis_sdk::prelude::*`.
pub mod prelude {
    pub use crate::{
        BodyVerdict, ChunkVerdict, ConfigError, Failure, Filter, Header, HeaderError,
        LocalResponse, Request, RequestVerdict, RerouteError, Response, ResponseVerdict, Result,
        config, filter, log,
    };
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;
}
