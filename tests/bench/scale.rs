//! A start with 5,000 Ingresses, and how long a change takes until it is live.

use std::time::{Duration, Instant};

use harness::gateway;

use crate::{
    LOAD_CORE, PROXY_CORE, backend,
    idle::memory,
    peers::{self, Site},
    process,
};

/// Here the gateway has all cores, as it would: one thread serves while another one reads what changed.
pub(crate) async fn run() {
    process::spread_here(&[PROXY_CORE, LOAD_CORE]);
    let backends = vec![backend::start().await];
    println!("\nscale: 5,000 Ingresses; goals: ready 0.5 s, a change live 50 ms, 60 MB");
    for (name, split) in [("a file each", true), ("one file", false)] {
        let names = (0..5000).map(|index| format!("host-{index}.example.com"));
        let routes =
            names.flat_map(|name| [(name.clone(), "/".into(), 0), (name, "/api".into(), 0)]);
        let site = Site::new(routes.collect(), backends.clone());
        measure(name, split, &site).await;
    }
    process::pin_here(LOAD_CORE);
}

async fn measure(name: &str, split: bool, site: &Site) {
    let documents = peers::documents(site);
    let mut builder = gateway().service_at("s0", 80, &site.backends);
    if split {
        for (index, document) in documents.split("\n---\n").enumerate() {
            builder = builder.file(&format!("ingress-{index}.json"), document);
        }
    } else {
        builder = builder.file("all.yaml", &documents);
    }
    let gateway = builder.start().await;
    let ready = gateway.since_start();
    let fresh = settled(gateway.id()).await;
    let (file, before) = if split {
        let first = documents.split("\n---\n").next().unwrap_or_default();
        ("ingress-0.json", first)
    } else {
        ("all.yaml", &*documents)
    };
    let mut changes = Vec::new();
    for change in 0..21 {
        let host = format!("changed-{change}.test");
        let text = before.replacen("host-0.example.com", &host, 1);
        let begin = Instant::now();
        gateway.write(file, &text);
        while gateway.get(&host, "/").await.status != 200 {
            harness::pause(Duration::from_millis(1)).await;
        }
        changes.push(begin.elapsed());
        // Changes that follow closely are gathered: each is to come alone.
        harness::pause(Duration::from_millis(300)).await;
    }
    changes.sort();
    let [median, last] = [changes.len() / 2, changes.len() - 1]
        .map(|index| changes.get(index).copied().unwrap_or_default());
    println!(
        "    {name:<12} ready {:>5.2} s, {fresh:.1} MB   a change live {:>5.1} ms (longest of {} {:.1}), {:.1} MB after them",
        ready.as_secs_f64(),
        median.as_secs_f64() * 1e3,
        changes.len(),
        last.as_secs_f64() * 1e3,
        settled(gateway.id()).await
    );
}

/// The memory of a process in MB, once what it no longer uses has gone back.
async fn settled(process: u32) -> f64 {
    harness::pause(Duration::from_secs(2)).await;
    memory(process) / 1e6
}
