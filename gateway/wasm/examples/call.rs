//! What a call costs: `cargo run --release --example call -p portcullis-wasm`.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "../tests/it/guests.rs"]
#[expect(dead_code, clippy::panic, reason = "shared with the tests")]
mod guests;

use std::{
    hint::black_box,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use guests::{Guest, reader};
use proxy::filter::{Asked, Exchange, Facts, Filter, Services, Steering};
use route::{Grants, Isolation, Limits, OnError, Route};
use wasm::{
    Attached, Attachment, Component, Engine, Instances, Plugin, PluginSpec, Settings, Shared,
};

struct Nothing;

impl Services for Nothing {
    fn has(&self, _backend: &str) -> bool {
        false
    }

    fn keeps_session(&self, _steering: &Steering, _endpoint: &str) -> bool {
        false
    }
}

fn exchange() -> Box<Exchange> {
    let mut request = http::Request::get("/some/path?and=query");
    for number in 0..18 {
        request = request.header(format!("x-field-{number}"), "some value of some length");
    }
    let request = request
        .header("x-canary", "always")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");
    let (request, ()) = request.body(()).expect("a request").into_parts();
    let facts = Facts {
        scheme: "https",
        authority: http::HeaderValue::from_static("example.com"),
        client: IpAddr::from([192, 0, 2, 1]),
        port: 1234,
        tls: true,
        sni: None,
        id: http::HeaderValue::from_static("0123456789abcdef"),
        route: Arc::new(Route::default()),
    };
    Box::new(Exchange::new(request, facts, Arc::new(Nothing)))
}

fn attach(engine: &Engine, guest: &Guest, isolation: Isolation, time: u64) -> Arc<Attachment> {
    let component = Component::load(engine, &guest.build()).expect("a component");
    let spec = PluginSpec {
        name: "default/bench".to_owned(),
        component: Arc::new(component),
        grants: Grants::default(),
        limits: Limits {
            time: Duration::from_millis(time),
            ..Limits::default()
        },
        isolation,
        shared: Arc::new(Shared::default()),
    };
    let plugin = Plugin::new(engine, spec).expect("a plugin");
    let config = "{}".to_owned();
    plugin.attach("default", "site", config).expect("accepted")
}

/// The same as the proxy calls it: through the trait, on the worker.
fn measure_filter(attachment: &Arc<Attachment>) -> Duration {
    let filter = Attached::new(Arc::clone(attachment), OnError::Closed);
    let mut lent = Some(exchange());
    percentile((0..1500).map(|_| {
        let start = Instant::now();
        for _ in 0..100 {
            let Asked::Done((exchange, verdict)) =
                filter.on_request(lent.take().expect("it comes back"))
            else {
                return Duration::MAX;
            };
            assert!(black_box(verdict).is_ok());
            lent = Some(exchange);
        }
        start.elapsed() / 100
    }))
}

/// The same on a thread beside the workers.
fn measure_aside(attachment: &Arc<Attachment>) -> Duration {
    let filter = Attached::new(Arc::clone(attachment), OnError::Closed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let mut lent = Some(exchange());
    percentile((0..1500).map(|_| {
        runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..10 {
                let asked = filter.on_request(lent.take().expect("it comes back"));
                let (exchange, verdict) = asked.answer().await;
                assert!(black_box(verdict).is_ok());
                lent = Some(exchange);
            }
            start.elapsed() / 10
        })
    }))
}

/// The tenth percentile of batches: what it costs where nobody else wants the core.
fn percentile(batches: impl Iterator<Item = Duration>) -> Duration {
    let mut batches: Vec<Duration> = batches.collect();
    batches.sort();
    batches.get(150).copied().unwrap_or_default()
}

fn measure(attachment: &Arc<Attachment>) -> Duration {
    let mut instances = Instances::new();
    let mut lent = Some(exchange());
    percentile((0..1500).map(|_| {
        let start = Instant::now();
        for _ in 0..100 {
            let exchange = lent.take().expect("it comes back");
            let (exchange, verdict) = instances.on_request(attachment, exchange);
            assert!(black_box(verdict).is_ok());
            lent = Some(exchange);
        }
        start.elapsed() / 100
    }))
}

fn main() {
    let engine = Engine::new(&Settings::default()).expect("an engine");
    println!("pooling: {:?}", engine.pooling());
    let cases = [
        ("hot, nothing read", Guest::default(), Isolation::Shared),
        ("hot, one header read", reader(), Isolation::Shared),
        ("fresh, one header read", reader(), Isolation::Request),
    ];
    for (name, guest, isolation) in cases {
        let attachment = attach(&engine, &guest, isolation, 1);
        println!("{name}: {} ns a call", measure(&attachment).as_nanos());
    }
    let attachment = attach(&engine, &reader(), Isolation::Shared, 1);
    let time = measure_filter(&attachment);
    println!(
        "as a filter, one header read: {} ns a call",
        time.as_nanos()
    );
    let attachment = attach(&engine, &reader(), Isolation::Shared, 2);
    let time = measure_aside(&attachment);
    println!("aside, one header read: {} ns a call", time.as_nanos());
}
