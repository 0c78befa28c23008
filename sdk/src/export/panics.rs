//! A panic says in the gateway's log where it was, before it ends the instance.

use std::sync::Once;

use crate::log::{self, Level};

/// Before anything of the filter runs.
pub(super) fn log_them() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            // "panicked at src/lib.rs:12:5:", a line break, the message.
            let text = panic.to_string().replace(":\n", ": ");
            log::write(Level::Error, &text);
        }));
    });
}

/// Ends the instance over a hook that failed. The gateway undoes what the hook did.
pub(super) fn end(failure: &crate::Failure) -> ! {
    log::write(Level::Error, &failure.to_string());
    core::arch::wasm32::unreachable()
}
