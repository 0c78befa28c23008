//! What several targets need.

pub mod backend;
pub mod frames;
pub mod gateway;
pub mod rfc9112;
pub mod scripted;

#[cfg(feature = "sandbox")]
#[expect(dead_code, reason = "the program uses the rest of it")]
#[path = "../../../gateway/src/plugin/toolchain.rs"]
pub mod toolchain;
