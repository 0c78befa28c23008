//! The program's own log: text on a terminal, flat JSON lines otherwise, on standard error.

use std::{
    env,
    io::{self, IsTerminal},
    panic,
};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt::format::FmtSpan};

/// What to log, as the flag says it; `None` where that is no filter.
pub(crate) fn filter(text: &str) -> Option<EnvFilter> {
    // Alone, a word that is no level would name a target, and silence all others.
    let known = levels(text).all(|level| level.is_some());
    EnvFilter::try_new(quieted(text)).ok().filter(|_| known)
}

/// What to log, as `RUST_LOG` says it, which may be anything.
#[expect(
    clippy::disallowed_methods,
    reason = "it is no flag's, and what it says wrong is not refused"
)]
pub(crate) fn environment() -> EnvFilter {
    let text = env::var(EnvFilter::DEFAULT_ENV).ok();
    let text = text.filter(|text| !text.trim().is_empty());
    EnvFilter::builder().parse_lossy(quieted(text.as_deref().unwrap_or("info")))
}

/// The levels of a filter that are not for one target.
fn levels(text: &str) -> impl Iterator<Item = Option<LevelFilter>> {
    let parts = text.split(',').map(str::trim);
    let levels = parts.filter(|part| !part.contains('=') && !part.is_empty());
    levels.map(|level| level.parse().ok())
}

/// A filter behind what quiets libraries, which it may take back. With `debug` they say all they can.
fn quieted(text: &str) -> String {
    let extreme = |level| level == LevelFilter::OFF || level > LevelFilter::INFO;
    if levels(text).flatten().any(extreme) {
        text.to_owned()
    } else {
        format!("{QUIET},{text}")
    }
}

/// What libraries warn of that is no news here. `h2` and `rustls` do for frames and alerts of clients,
/// as many as these like to send; `notify` for each folder that goes before its watch does, which is how
/// folders go; `kube_client` for each request that fails, which is a problem here, and told once.
const QUIET: &str = "h2=error,rustls=error,notify=error,kube_client=off";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_asked() {
        for (text, quiet) in [
            ("info", true),
            ("hyper=info", true),
            ("warn,hyper=debug", true),
        ] {
            assert_eq!(quieted(text).starts_with(QUIET), quiet, "{text}");
        }
        for text in ["debug", "trace", "off", "hyper=trace,debug"] {
            assert_eq!(quieted(text), text);
        }
        // What is said last of a target counts.
        let filter = filter("info,h2=trace").unwrap().to_string();
        assert!(
            filter.contains("h2=trace") && !filter.contains("h2=error"),
            "{filter}"
        );
        assert!(filter.contains("rustls=error"), "{filter}");
        assert!(super::filter("loud").is_none());
    }
}
