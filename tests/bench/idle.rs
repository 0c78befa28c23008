//! What a keep-alive connection holds while it is idle.

use std::{fs, time::Duration};

use crate::{
    backend,
    client::Client,
    load::get,
    peers::{self, Site},
    process,
};

pub(crate) async fn run() {
    let site = Site::new(
        vec![("a.test".into(), "/".into(), 0)],
        vec![backend::start().await],
    );
    println!(
        "\nidle: KiB for each of {CONNECTIONS} keep-alive connections after a request; goal 12"
    );
    for proxy in peers::all(&site).await {
        let request = get("a.test", "/some/path?and=query", "");
        // The first connections find nothing warm.
        let mut clients = Vec::new();
        open(&mut clients, 100, proxy.http, &request).await;
        harness::pause(SETTLE).await;
        let before = memory(proxy.id());
        open(&mut clients, CONNECTIONS, proxy.http, &request).await;
        harness::pause(SETTLE).await;
        let after = memory(proxy.id());
        println!(
            "    {:<11} {:>6.1}   ({:.1} MiB in all)",
            proxy.name,
            (after - before) / 1024.0 / f64::from(CONNECTIONS),
            after / 1024.0 / 1024.0
        );
    }
}

async fn open(clients: &mut Vec<Client>, count: u32, proxy: std::net::SocketAddr, request: &[u8]) {
    for _ in 0..count {
        let mut client = Client::plain(proxy).await;
        client.send(request).await;
        client.answer().await;
        clients.push(client);
    }
}

/// What a process and its children hold, in bytes: shared pages count in part (`Pss`).
pub(crate) fn memory(process: u32) -> f64 {
    let sizes = process::family(process).into_iter().map(|id| {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let number = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
        number.unwrap_or(0.0) * 1024.0
    });
    sizes.sum()
}

const CONNECTIONS: u32 = 5000;
/// Allocators give back what they hold some seconds later.
const SETTLE: Duration = Duration::from_secs(5);
