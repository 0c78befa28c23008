//! What the gateway costs, beside nginx, HAProxy and Envoy on the same routes, in one run.
//!
//!     make bench
//!
//! The proxy has one core to itself; load and backend share another one. Rounds are interleaved, so that
//! what else the machine does meets all alike; of each figure the median is shown, and of each comparison
//! the median of what each round says. Rates depend on the machine; ratios hardly do.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark that cannot go on stops, and prints what it found"
)]

mod backend;
mod client;
mod filters;
mod idle;
mod instructions;
mod load;
mod peers;
mod process;
mod race;
mod scale;
mod scenarios;

use std::time::Duration;

/// How much to measure.
#[derive(Clone, Debug)]
struct Plan {
    rounds: usize,
    round: Duration,
    only: Option<String>,
}

impl Plan {
    fn has(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }
}

fn main() {
    let mut plan = Plan {
        rounds: 11,
        round: Duration::from_secs(1),
        only: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let text = arguments.next().unwrap_or_default();
        let number = || -> u64 { text.parse().expect("a whole number after the flag") };
        match argument.as_str() {
            "--rounds" => plan.rounds = usize::try_from(number()).expect("a small number"),
            "--seconds" => plan.round = Duration::from_secs(number()),
            "--only" => plan.only = Some(text),
            other => {
                panic!("{other} is not known: write --rounds N, --seconds N or --only WORDS")
            }
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
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        scenarios::run(&plan).await;
        if plan.has("idle") {
            idle::run().await;
        }
        if plan.has("scale") {
            scale::run().await;
        }
        if plan.has("instructions") {
            instructions::run().await;
        }
        if plan.has("filters") {
            filters::run(&plan).await;
        }
    });
}

/// The core of the proxy that is measured.
const PROXY_CORE: usize = 0;
/// The core of everything else.
const LOAD_CORE: usize = 1;
