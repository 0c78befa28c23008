//! Routes with no, one and three filters, and with the three that ship.

use std::net::SocketAddr;

use harness::{IngressBuilder, gateway, ingress, plugin, portcullis_command};
use tempfile::TempDir;

use crate::{
    Plan, backend,
    client::Client,
    load::{Load, get},
    peers::{self, Proxy, Site},
    race::{Runner, race},
};

/// Measures, and prints a table.
pub(crate) async fn run(plan: &Plan) {
    let backend = backend::start().await;
    let code = headers();
    let mut proxies = Vec::new();
    for (name, site) in chains() {
        proxies.push(start(name, site, &code, backend).await);
    }
    let all = Site::new(vec![("a.test".into(), "/".into(), 0)], vec![backend]);
    proxies.extend(peers::envoys(&all).await);
    let mut runners = Vec::new();
    for proxy in &proxies {
        let request = keep_session(proxy).await;
        let load = Load::KeepAlive(vec![request].into());
        runners.push(Runner::new(proxy.name, proxy, load));
    }
    println!("\nfilters: CPU µs a request; goal for the three that ship +2");
    let scores = race(plan, runners).await;
    let mut base = scores.first();
    for score in &scores {
        // Each kind of proxy is compared with itself.
        if score.name.ends_with("none") {
            base = Some(score);
        }
        println!(
            "    {:<15} {:>6.2} {:>+6.2}  {:>9.0}/s",
            score.name,
            score.micros,
            base.map_or(f64::NAN, |base| score.above(base)),
            score.rate
        );
    }
}

fn chains() -> Vec<(&'static str, IngressBuilder)> {
    let one = "filter=headers";
    let three = "first=headers, second=headers, third=headers";
    let headers = "{request: {set: {x-first: one}}, response: {set: {x-second: two}}}";
    let mut chains = Vec::new();
    for (name, chain) in [("no filter", ""), ("1 filter", one), ("3 filters", three)] {
        let mut site = site();
        if !chain.is_empty() {
            site = site.annotation("portcullis.dev/filters", chain);
            for item in chain.split(", ") {
                let alias = item.split('=').next().unwrap_or_default();
                site = site.annotation(&format!("portcullis.dev/filter.{alias}"), headers);
            }
        }
        chains.push((name, site));
    }
    let shipped = site()
        .annotation(
            "portcullis.dev/filters",
            "rate-limit, canary, sticky-session",
        )
        .annotation(
            "portcullis.dev/filter.rate-limit",
            "{requests: 100000000, per: 1s, key: client-ip}",
        )
        .annotation(
            "portcullis.dev/filter.canary",
            "{backends: [{service: svc, port: 80, header: x-canary}]}",
        );
    chains.push(("the 3 that ship", shipped));
    chains
}

fn site() -> IngressBuilder {
    ingress("web").host("a.test").path("/", "svc", 80)
}

async fn start(
    name: &'static str,
    site: IngressBuilder,
    code: &[u8],
    backend: SocketAddr,
) -> Proxy {
    let gateway = gateway()
        .manifest(site)
        .service_at("svc", 80, &[backend])
        .plugin(plugin("headers", code))
        .start()
        .await;
    peers::ours(name, gateway)
}

/// The example that sets fields, as a component.
fn headers() -> Vec<u8> {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("headers.wasm");
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/headers");
    // The first time this builds a standard library, which takes a while.
    let mut build = portcullis_command();
    build
        .args(["plugin", "build", package, "--output"])
        .arg(&file);
    let built = build.status().expect("the program starts");
    assert!(built.success(), "the example filter does not build");
    std::fs::read(file).expect("a component")
}

/// The request, with the cookie that a client was given before.
async fn keep_session(proxy: &Proxy) -> Vec<u8> {
    let request = |more: &str| get("a.test", "/some/path?and=query", more);
    let mut client = Client::plain(proxy.http).await;
    client.send(&request("")).await;
    let head = client.answer().await;
    let mut lines = head.lines();
    let cookie = lines.find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
    match cookie {
        Some(cookie) => request(&format!("cookie: {cookie}\r\n")),
        None => request(""),
    }
}
