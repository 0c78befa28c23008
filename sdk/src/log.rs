//! The gateway's log. Needs no grant. At most 1 KiB a line and 20 lines a hook; more are cut and
//! dropped. The gateway adds plugin, Ingress and request id.
//!
//! ```
//! use portcullis_sdk::prelude::*;
//! log::info!("{} sessions", 3);
//! ```

use crate::sys;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author of the filter.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

/// Whether lines of that level are written at all.
pub fn enabled(level: Level) -> bool {
    sys::log_enabled(level)
}

/// Writes one line.
pub fn write(level: Level, message: &str) {
    sys::log_write(level, message);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($message:tt)+) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::write($crate::log::Level::$level, &::std::format!($($message)+));
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($message:tt)+) => { $crate::__log!(Debug, $($message)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($message:tt)+) => { $crate::__log!(Info, $($message)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($message:tt)+) => { $crate::__log!(Warn, $($message)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($message:tt)+) => { $crate::__log!(Error, $($message)+) };
}

/// Writes a line for the author of the filter. It is formatted only where such lines are written.
#[doc(inline)]
pub use __debug as debug;
/// Writes a line that says that something failed.
#[doc(inline)]
pub use __error as error;
/// Writes a line worth knowing.
#[doc(inline)]
pub use __info as info;
/// Writes a line that says that something is not as it should be.
#[doc(inline)]
pub use __warn as warn;
