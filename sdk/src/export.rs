//! What `#[filter]` writes code against. Not for hands.

#[cfg(target_family = "wasm")]
pub mod bindings;
#[cfg(target_family = "wasm")]
mod hooks;
#[cfg(target_family = "wasm")]
mod panics;
#[cfg(target_family = "wasm")]
mod table;

#[cfg(target_family = "wasm")]
pub use hooks::{Export, Exported};
#[cfg(target_family = "wasm")]
pub use table::Table;

/// A filter whose package is known.
pub trait Named: crate::Filter {
    /// The name of its package.
    const NAME: &'static str;
    /// The version of its package.
    const VERSION: &'static str;
}

/// A use of everything that a filter has.
#[cfg(not(target_family = "wasm"))]
pub fn use_it<F: Named>(config: &str) {
    drop(crate::configuration::filter::<F>(config));
}
