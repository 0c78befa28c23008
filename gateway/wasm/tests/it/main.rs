//! The sandbox from outside: components that behave, and components that do not.
//!
//! What a plugin may try, and the file that shows how it ends:
//! - it loops, copies, grows, recurses, panics, keeps handles: `hostile`, and on a fiber `aside`
//! - it loops or traps in `describe` and `configure`: `loading`, `hostile`, `aside`
//! - it has ten thousand instances, or is no component, or one of another world: `loading`, `mutants`
//! - it traps in the middle of a body: `streams`
//! - it sets fields that are too large, too many, or the gateway's own: `hooks`
//! - it meets cookies and bytes that are no text: `hooks`, and beside the code
//! - it floods the host with calls, handles or lines: `hostile`, `reloads`, `logs`
//! - it looks for what another plugin or request has left: `reloads`
//! - it goes where it must not: `hooks` for backends, `callouts` for other servers
//! - its client leaves while it computes or waits: `aside`, `callouts`
//! - it uses up the pool or the threads: `hostile`, `streams`, `aside`
//! - it uses all that the SDK offers: `cases`
//! - it is loaded again and again: `reloads`
//! - its schema means harm: beside the code
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail as tests do"
)]

mod aside;
mod bodies;
mod callouts;
mod cases;
mod guests;
mod hooks;
mod hostile;
mod loading;
mod logs;
mod mutants;
mod released;
mod reloads;
mod streams;

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use guests::Guest;
use proxy::filter::{Asked, Exchange, Facts, Outcome, Services, Steering};
use route::{Grants, Isolation, Limits, OnError, Route};
use wasm::{
    Attached, Attachment, Component, Engine, Failure, Instances, LoadError, Plugin, PluginSpec,
    Settings, Shared,
};

/// One engine for all tests, as in the gateway.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&Settings::default()).expect("an engine"))
}

/// There is only `there:80`, with the endpoint `e1`.
struct OneService;

impl Services for OneService {
    fn has(&self, backend: &str) -> bool {
        backend == "there:80"
    }

    fn keeps_session(&self, _steering: &Steering, endpoint: &str) -> bool {
        endpoint == "e1"
    }
}

/// A request with a field `a: 1`, a cookie and a field that is not text.
fn exchange() -> Box<Exchange> {
    let request = http::Request::get("/path?q=a%20b&q=c")
        .header("a", "1")
        .header("cookie", "=;;x; c=d")
        .header(
            "x-bytes",
            http::HeaderValue::from_bytes(b"\xff\x80").expect("bytes"),
        );
    let (request, ()) = request.body(()).expect("a request").into_parts();
    let facts = Facts {
        scheme: "https",
        authority: http::HeaderValue::from_static("example.com"),
        client: IpAddr::from([192, 0, 2, 1]),
        port: 1234,
        tls: true,
        sni: None,
        id: http::HeaderValue::from_static("id"),
        route: Arc::new(Route::default()),
    };
    Box::new(Exchange::new(request, facts, Arc::new(OneService)))
}

fn spec(component: Component) -> PluginSpec {
    PluginSpec {
        name: "default/test".to_owned(),
        component: Arc::new(component),
        grants: Grants::default(),
        limits: Limits::default(),
        isolation: Isolation::Shared,
        shared: Arc::new(Shared::default()),
    }
}

fn load(guest: &Guest) -> Result<Component, LoadError> {
    Component::load(engine(), &guest.build())
}

/// The guest as a plugin, changed by the test.
fn plugin(guest: &Guest, change: impl FnOnce(&mut PluginSpec)) -> Arc<Plugin> {
    let mut spec = spec(load(guest).expect("a component"));
    change(&mut spec);
    Plugin::new(engine(), spec).expect("a plugin")
}

/// An engine for one test: what runs aside on it is nobody else's.
fn own_engine(change: impl FnOnce(&mut Settings)) -> Engine {
    let mut settings = Settings {
        instances: 400,
        ..Settings::default()
    };
    change(&mut settings);
    Engine::new(&settings).expect("an engine")
}

/// The guest as a plugin of this engine.
fn plugin_on(engine: &Engine, guest: &Guest, change: impl FnOnce(&mut PluginSpec)) -> Arc<Plugin> {
    let component = Component::load(engine, &guest.build()).expect("a component");
    let mut spec = spec(component);
    change(&mut spec);
    Plugin::new(engine, spec).expect("a plugin")
}

/// Waits until it is so.
fn eventually(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

fn attach(plugin: &Arc<Plugin>) -> Arc<Attachment> {
    attach_with(plugin, "{}").expect("accepted")
}

fn attach_with(plugin: &Arc<Plugin>, config: &str) -> Result<Arc<Attachment>, Failure> {
    plugin.attach("default", "site/filter", config.to_owned())
}

/// The attachment as the proxy has it.
fn filter(attachment: &Arc<Attachment>) -> Attached {
    Attached::new(Arc::clone(attachment), OnError::Closed)
}

/// The answer of a plugin that answers at once.
fn now<V>(asked: Asked<V>) -> Outcome<V> {
    match asked {
        Asked::Done(outcome) => outcome,
        Asked::Later(_) => panic!("it runs aside"),
    }
}

/// The answer of a plugin that takes its time.
fn later<V>(asked: Asked<V>) -> Outcome<V> {
    match asked {
        Asked::Done(_) => panic!("it answers at once"),
        Asked::Later(answer) => runtime().block_on(answer),
    }
}

/// A worker's runtime, on this thread.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// A request that was answered.
fn answered() -> Box<Exchange> {
    let mut exchange = exchange();
    let response = http::Response::builder().header("r", "1");
    let (response, ()) = response.body(()).expect("a response").into_parts();
    exchange.response = Some(response);
    exchange
}
