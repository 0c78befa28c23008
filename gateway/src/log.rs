//! The program's own log: text on a terminal, flat JSON lines otherwise, on standard error.

use std::{
    io::{self, IsTerminal},
    panic,
};

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

/// Starts logging; a second start changes nothing.
pub(crate) fn start(filter: EnvFilter) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let log = log.with_span_events(FmtSpan::NONE);
    let _ = if io::stderr().is_terminal() {
        log.with_target(false).try_init()
    } else {
        log.json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    };
    // A defect that ends a task is a line of the log like any other, not text between the lines.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, "defect: {message}");
    }));
}
