//! What is in the log after a failure, and how much of it.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use proxy::filter::Filter;
use tracing_subscriber::fmt::MakeWriter;

use super::{guests::*, *};

/// A log that is kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is logged meanwhile.
fn logged(run: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let all = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&all);
    text.lines().map(str::to_owned).collect()
}

/// Logs `panicked` as an error so many times, then does this.
fn saying(times: u32, then: &str) -> Guest {
    Guest {
        world: "import portcullis:filter/log@0.1.0;",
        own: r#"(import "portcullis:filter/log@0.1.0" "write" (func $write (param i32 i32 i32)))
            (data (i32.const 1024) "panicked at lib.rs:7")"#
            .to_owned(),
        ..Guest::on_request(&format!(
            "{} {then}",
            "(call $write (i32.const 3) (i32.const 1024) (i32.const 20))".repeat(times as usize)
        ))
    }
}

#[test]
fn a_trap_is_told_once_with_who_and_what_was_said() {
    let filter = filter(&attach(&plugin(&saying(1, "unreachable"), |_| {})));
    let lines = logged(|| {
        assert!(now(filter.on_request(exchange())).1.is_err());
    });
    let [said, failed] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(said.contains("panicked at lib.rs:7"), "{said}");
    for part in [
        "ERROR",
        "it trapped",
        "it said: panicked at lib.rs:7",
        "default/test",
        "site/filter",
        "request=\"id\"",
    ] {
        assert!(failed.contains(part), "{part}: {failed}");
    }
}

#[test]
fn a_plugin_that_fails_all_the_time_does_not_flood_the_log() {
    let filter = filter(&attach(&plugin(&Guest::on_request("unreachable"), |_| {})));
    let lines = logged(|| {
        let start = Instant::now();
        for _ in 0..2000 {
            assert!(now(filter.on_request(exchange())).1.is_err());
        }
        assert!(start.elapsed() < Duration::from_secs(10));
    });
    // Five failures, and that it is left alone: for each time that its breaker closes.
    assert!((6..=30).contains(&lines.len()), "{}", lines.len());
    assert!(lines[5].contains("left alone"), "{}", lines[5]);
}

#[test]
fn a_plugin_that_says_too_much_is_cut_short() {
    let filter = filter(&attach(&plugin(&saying(30, NEXT), |_| {})));
    let mut calls = 0;
    let lines = logged(|| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1300) {
            assert!(now(filter.on_request(exchange())).1.is_ok());
            calls += 1;
        }
    });
    assert!(calls > 20, "{calls} calls are enough to flood");
    assert!((100..=301).contains(&lines.len()), "{}", lines.len());
    assert!(
        lines.iter().any(|line| line.contains("were left out")),
        "that is told"
    );
}
