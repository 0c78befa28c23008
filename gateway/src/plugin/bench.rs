//! `portcullis plugin bench`: what a call costs on this machine.

use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use proxy::filter::Filter;
use route::Isolation;
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};

use super::{attached, case::Asked, config, granted, limits, load};
use crate::{
    FAILED,
    cli::{BenchFlags, Mistakes},
    say,
};

/// Measures the request hook; 1 where a call costs more than it may.
pub(super) fn command(flags: &BenchFlags) -> anyhow::Result<ExitCode> {
    let (engine, component) = load(&flags.file)?;
    let (config, limits) = (config(&flags.terms)?, limits(&flags.terms)?);
    let request: Asked = match &flags.request {
        Some(text) => serde_json::from_str(text).with_context(|| {
            Mistakes::one("--request is none; write it as in a case: '{\"path\": \"/\"}'")
        })?,
        None => serde_json::from_value(usual())?,
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut hot = None;
    for (name, isolation) in [("hot", Isolation::Shared), ("fresh", Isolation::Request)] {
        let plugin = granted(&engine, &component, limits.clone(), isolation)?;
        let filter = attached(&plugin, &config).with_context(|| {
            Mistakes::one("it cannot be configured; write its configuration with --config JSON")
        })?;
        if !filter.hooks().request {
            return Err(Mistakes::one("it has no request hook, which is what is measured").into());
        }
        let time = measure(&runtime, &filter, &request, isolation)?;
        say(&format!("{name:<6} {:>8} ns a call", time.as_nanos()));
        hot.get_or_insert(time);
    }
    let most = flags.max_ns.map(Duration::from_nanos);
    match (hot, most) {
        (Some(time), Some(most)) if time > most => {
            say(&format!("more than the {} ns of --max-ns", most.as_nanos()));
            Ok(FAILED.into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// A request such as browsers send.
fn usual() -> Value {
    json!({
        "path": "/some/path?and=query",
        "headers": {
            "host": "example.com",
            "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "accept-language": "en-US,en;q=0.5",
            "accept-encoding": "gzip, deflate, br, zstd",
            "cookie": "session=0123456789abcdef; theme=dark",
            "cache-control": "max-age=0",
        },
    })
}

/// The tenth percentile of batches: what it costs where nobody else wants the core.
fn measure(
    runtime: &Runtime,
    filter: &impl Filter,
    request: &Asked,
    isolation: Isolation,
) -> anyhow::Result<Duration> {
    let (batches, size) = match isolation {
        Isolation::Shared => (1000, 100),
        Isolation::Request => (300, 20),
    };
    let mut times = Vec::with_capacity(batches);
    let exchange = request.exchange()?;
    runtime.block_on(async {
        let mut lent = Some(exchange);
        for _ in 0..batches {
            let began = Instant::now();
            for _ in 0..size {
                let exchange = lent.take().context("a hook gives back what it is lent")?;
                let (exchange, verdict) = filter.on_request(exchange).answer().await;
                black_box(verdict).context("the hook failed; see `portcullis plugin test`")?;
                lent = Some(exchange);
            }
            times.push(began.elapsed() / size);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    times.sort();
    times.get(batches / 10).copied().context("nothing measured")
}
