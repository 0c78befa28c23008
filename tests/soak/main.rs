//! Whether the gateway stays as it is: minutes of mixed traffic, configuration that changes several
//! times a second, and plugins that are swapped; memory, files, latency and errors over time.
//!
//!     make soak MINUTES=10
//!
//! With `--cluster`, a cluster of 10,000 objects instead that change 100 times a second, under two gateways.
//!
//! Ends with a verdict and 0 if nothing grew and nothing failed that should not.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a run that cannot go on stops, and prints what it found"
)]

mod churn;
mod cluster;
#[expect(dead_code, reason = "the sandbox's own tests use the rest of it")]
#[path = "../../gateway/wasm/tests/it/guests.rs"]
mod guests;
mod stamp;
mod traffic;
mod watch;

use std::{process::ExitCode, sync::Arc, time::Duration};

use tokio::task::{JoinSet, LocalSet};

use watch::{Figures, Watch};

fn main() -> ExitCode {
    let (mut time, mut cluster) = (Duration::from_secs(600), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--cluster" {
            cluster = true;
            continue;
        }
        let number = arguments.next().and_then(|text| text.parse().ok());
        let number: u64 = number.expect("a whole number after the flag");
        match argument.as_str() {
            "--minutes" => time = Duration::from_secs(number * 60),
            "--seconds" => time = Duration::from_secs(number),
            other => panic!("{other} is not known: write --minutes N, --seconds N or --cluster"),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        match cluster {
            true => cluster::run(time).await,
            false => run(time).await,
        }
    })
}

async fn run(time: Duration) -> ExitCode {
    let backends = Arc::new(traffic::Backends::start().await);
    let gateway = Arc::new(churn::gateway(&backends).start().await);
    let figures = Arc::new(Figures::default());
    let mut tasks = JoinSet::new();
    traffic::start(&mut tasks, &gateway, &figures);
    tasks.spawn_local(Arc::clone(&backends).forget());
    churn::start(&mut tasks, &gateway, &backends, &figures);

    let mut watch = Watch::of(Arc::clone(&gateway), Arc::clone(&figures));
    tokio::select! {
        () = watch.run(time) => {}
        () = failed(&mut tasks, &figures) => {}
    }
    tasks.shutdown().await;
    let faults = watch.faults();
    for fault in &faults {
        println!("soak: {fault}");
    }
    let verdict = if faults.is_empty() {
        "flat"
    } else {
        "NOT flat"
    };
    println!("soak: {verdict} after {} s", time.as_secs());
    u8::from(!faults.is_empty()).into()
}

/// Counts tasks that ended, which none should. Returns only when none is left.
async fn failed(tasks: &mut JoinSet<()>, figures: &Figures) {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(()) => figures.error("a task ended"),
            Err(error) => figures.error(&format!("a task failed: {error}")),
        }
    }
}
