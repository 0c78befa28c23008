//! The gateway, as far as the SDK calls it: the real one where a filter runs, one in memory elsewhere.
//! Both have the same functions, and everything above is written once.

#[cfg(target_family = "wasm")]
mod guest;
#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(target_family = "wasm")]
pub(crate) use guest::*;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::*;
