//! What several targets need.

pub mod backend;
pub mod frames;
pub mod gateway;
pub mod rfc9112;
pub mod scripted;

#[cfg(feature = "sandbox")]
#[path = "../../../gateway/src/plugin/toolchain.rs"]
pub mod toolchain;
