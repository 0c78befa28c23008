//! A start with 5,000 Ingresses, and how long a change takes until it is live.

use std::time::{Duration, Instant};

use harness::gateway;

use crate::{
    backend,
    idle::memory,
    peers::{self, Site},
};

pub(crate) async fn run() {
    let backends = vec![backend::start().await];
    println!("\nscale: 5,000 Ingresses; goals: ready 0.5 s, a change live 50 ms, 60 MB");
    for (name, split) in [("a file each", true), ("one file", false)] {
        let names = (0..5000).map(|index| format!("host-{index}.example.com"));
        let routes =
            names.flat_map(|name| [(name.clone(), "/".into(), 0), (name, "/api".into(), 0)]);
        let site = Site::new(routes.collect(), backends.clone());
        measure(name, split, &site).await;
    }
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
        while gateway.get(&host, "/").await.status != 200 {}
        changes.push(begin.elapsed());
        // Changes that follow closely are gathered: each is to come alone.
        harness::pause(Duration::from_millis(300)).await;
    }
    changes.sort();
    let [median, last] = [changes.len() / 2, changes.len() - 1]
        .map(|index| changes.get(index).copied().unwrap_or_default());
    println!(
        "    {name:<12} ready {:>5.2} s   a change live {:>5.1} ms (longest of {} {:.1})   {:.1} MB",
        ready.as_secs_f64(),
        median.as_secs_f64() * 1e3,
        changes.len(),
        last.as_secs_f64() * 1e3,
        memory(gateway.id()) / 1e6
    );
}
