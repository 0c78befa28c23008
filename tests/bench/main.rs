//! What a request costs: CPU time of the proxy's process, side by side in one run.
//!
//!     make bench
//!
//! The proxy has one core to itself; load and backend share another one. Rounds are interleaved, so that
//! what else the machine does meets all alike, and of each figure the median is shown. Rates depend on the
//! machine; ratios hardly do.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark that cannot go on stops, and prints what it found"
)]

mod backend;
mod envoy;
mod filters;
mod load;
mod process;

use std::time::Duration;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
struct Plan {
    rounds: usize,
    round: Duration,
}

fn main() {
    let mut plan = Plan {
        rounds: 7,
        round: Duration::from_secs(2),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next();
            let number = text.and_then(|text| text.parse().ok());
            number.expect("a whole number after the flag")
        };
        match argument.as_str() {
            "--rounds" => plan.rounds = usize::try_from(number()).expect("a small number"),
            "--seconds" => plan.round = Duration::from_secs(number()),
            other => panic!("{other} is not known: write --rounds N or --seconds N"),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert!(
        cores >= 2,
        "a core for the proxy and one for the load are needed"
    );
    process::pin_here(LOAD_CORE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(filters::run(plan));
}

/// The core of the proxy that is measured.
const PROXY_CORE: usize = 0;
/// The core of everything else.
const LOAD_CORE: usize = 1;
