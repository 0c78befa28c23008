//! The sandbox from outside: components that behave, and components that do not.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail as tests do"
)]

mod guests;
mod hooks;
mod hostile;
mod loading;
mod released;

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use guests::Guest;
use proxy::filter::{Exchange, Facts, Services, Steering};
use route::{Grants, Isolation, Limits, Route};
use wasm::{
    Attachment, Component, Engine, Failure, Instances, LoadError, Plugin, PluginSpec, Settings,
    Shared,
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

fn attach(plugin: &Arc<Plugin>) -> Arc<Attachment> {
    attach_with(plugin, "{}").expect("accepted")
}

fn attach_with(plugin: &Arc<Plugin>, config: &str) -> Result<Arc<Attachment>, Failure> {
    plugin.attach("default", "site/filter", config.to_owned())
}
