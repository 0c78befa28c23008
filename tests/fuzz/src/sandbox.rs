//! Calls of the gateway by a guest, in any order and with any arguments.
//!
//! The guest is `plugins/probe`, which calls what its configuration says. Whatever that is: the host goes on; what is
//! the gateway's own in a message stays; a path stays normal; after a failure the exchange is as it was before; and no
//! hook takes longer than it may.
//!
//! A line is a call with its arguments, parted by tabs: `#` begins a number, `[` a list, `~` is nothing, `!` is true.
//! `repeat`, a tab and a number may stand before it. Lines behind `===` are the response hook's.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Request, Response};
use proxy::filter::{Exchange, Facts, Services, Steering};
use route::{Backends, Grants, Isolation, Limits, Route};
use serde_json::{Value, json};
use wasm::{Component, Engine, Instances, Plugin, PluginSpec, Settings, Shared};
use wit_component::ComponentEncoder;

use crate::{certificate::cpu, support::toolchain};

/// Lines as above.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (on_request, on_response) = text.split_once("===\n").unwrap_or((text, ""));
    let calls = |lines: &str| lines.lines().take(40).map(call).collect::<Value>();
    let config = json!({"onRequest": calls(on_request), "onResponse": calls(on_response)});
    // Most configurations are none: that is told, and all there is to it.
    let Ok(attachment) = PLUGIN.attach("default", "site/filter", config.to_string()) else {
        return;
    };
    let mut instances = Instances::new();
    let before = exchange();
    let (mut exchange, verdict) = timed(|| instances.on_request(&attachment, exchange()));
    check(&before, &exchange, verdict.is_err());
    exchange.response = Some(answered());
    let lent = (exchange.request.headers.clone(), exchange.steering.clone());
    let (exchange, verdict) = timed(|| instances.on_response(&attachment, exchange));
    let response = exchange.response.as_ref().expect("the response stays");
    check_fields(&answered().headers, &response.headers);
    assert!((200..600).contains(&response.status.as_u16()));
    assert_eq!(
        lent,
        (exchange.request.headers.clone(), exchange.steering.clone()),
        "a response hook changed the request"
    );
    if verdict.is_err() {
        assert_eq!(
            (answered().status, answered().headers),
            (response.status, response.headers.clone())
        );
    }
}

/// A call as the probe reads it.
fn call(line: &str) -> Value {
    let mut words = line.split('\t');
    let name = words.next().unwrap_or_default();
    if name == "repeat" {
        let times = words
            .next()
            .and_then(|word| word.parse::<u32>().ok())
            .unwrap_or(1);
        let rest: Vec<&str> = words.collect();
        return json!({"repeat": [times, call(&rest.join("\t"))]});
    }
    let mut arguments: Vec<Value> = words.map(argument).collect();
    match arguments.len() {
        0 => json!(name),
        1 => json!({name: arguments.remove(0)}),
        _ => json!({name: arguments}),
    }
}

fn argument(word: &str) -> Value {
    match word {
        "~" => Value::Null,
        "!" => json!(true),
        _ if word.starts_with('#') => word[1..]
            .parse::<i64>()
            .map_or_else(|_| json!(word), |number| json!(number)),
        _ if word.starts_with('[') => serde_json::from_str(word).unwrap_or_else(|_| json!(word)),
        _ => json!(word),
    }
}

fn timed<T>(hook: impl FnOnce() -> T) -> T {
    let began = cpu();
    let outcome = hook();
    let took = cpu() - began;
    assert!(took < TIME.as_secs_f64() + SLACK, "a hook took {took} s");
    outcome
}

fn check(before: &Exchange, after: &Exchange, failed: bool) {
    check_fields(&before.request.headers, &after.request.headers);
    assert_eq!(before.request.method, after.request.method);
    let path = after.request.uri.path();
    assert_eq!(route::normalise(path).as_deref(), Ok(path));
    if failed {
        assert_eq!(before.request.headers, after.request.headers);
        assert_eq!(before.request.uri, after.request.uri);
        assert_eq!(before.steering, after.steering);
    }
}

/// Fields that frame a message or say who sent it are as they were.
fn check_fields(before: &HeaderMap, after: &HeaderMap) {
    for name in before.keys().chain(after.keys()) {
        let text = name.as_str();
        if OURS.contains(&text) || text.starts_with("proxy-") || text.starts_with("x-forwarded-") {
            let values =
                |fields: &HeaderMap| fields.get_all(name).iter().cloned().collect::<Vec<_>>();
            assert_eq!(values(before), values(after), "{name}");
        }
    }
    let clean = |value: &HeaderValue| !value.as_bytes().iter().any(|b| b"\r\n\0".contains(b));
    assert!(after.values().all(clean), "{after:?}");
}

fn exchange() -> Box<Exchange> {
    let mut request = Request::post("/path?q=a%20b&q=c");
    for (name, value) in [
        ("host", "a.test"),
        ("content-length", "3"),
        ("cookie", "a=b; c=d"),
        ("x-a", "1"),
        ("x-a", "2"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-request-id", "id"),
    ] {
        request = request.header(name, value);
    }
    let (request, ()) = request.body(()).expect("a request").into_parts();
    let facts = Facts {
        scheme: "https",
        authority: HeaderValue::from_static("a.test"),
        client: [192, 0, 2, 1].into(),
        port: 1234,
        tls: true,
        sni: None,
        id: HeaderValue::from_static("id"),
        route: Arc::new(Route::default()),
    };
    Box::new(Exchange::new(request, facts, Arc::new(OneService)))
}

fn answered() -> http::response::Parts {
    let response = Response::builder()
        .header("content-length", "5")
        .header("set-cookie", "a=b")
        .header("x-a", "1");
    response.body(()).expect("a response").into_parts().0
}

struct OneService;

impl Services for OneService {
    fn has(&self, backend: &str) -> bool {
        backend == "there:80"
    }

    fn keeps_session(&self, _steering: &Steering, endpoint: &str) -> bool {
        endpoint == "e1"
    }
}

static PLUGIN: LazyLock<Arc<Plugin>> = LazyLock::new(|| {
    let engine = Engine::new(&Settings::default()).expect("an engine");
    let component = Component::load(&engine, &probe()).expect("the probe");
    let grants = Grants {
        random: true,
        metrics: true,
        rate_limit: true,
        key_value: Some(64 << 10),
        backends: Backends::All,
        ..Grants::default()
    };
    let spec = PluginSpec {
        name: "default/probe".to_owned(),
        component: Arc::new(component),
        grants,
        limits: Limits {
            time: TIME,
            ..Limits::default()
        },
        isolation: Isolation::Shared,
        shared: Arc::new(Shared::default()),
    };
    Plugin::new(&engine, spec).expect("a plugin")
});

/// The probe as a component: built when it is needed, as the program builds the filters that ship.
fn probe() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace");
    let toolchain =
        toolchain::Toolchain::find("cargo".as_ref(), "rustc".as_ref()).expect("a Rust for filters");
    let modules = toolchain.build(&toolchain::Build {
        manifest: &root.join("plugins/Cargo.toml"),
        packages: &["probe"],
        target_dir: &std::env::temp_dir().join("portcullis-fuzz-plugins"),
        root: &root,
        locked: true,
        offline: false,
    });
    let modules = modules.unwrap_or_else(|error| panic!("{error}"));
    let module = std::fs::read(&modules[0]).expect("the probe");
    let encoder = ComponentEncoder::default().validate(true).module(&module);
    encoder
        .and_then(|mut encoder| encoder.encode())
        .expect("a component")
}

/// What a hook may take.
const TIME: Duration = Duration::from_millis(100);
/// What it may take beyond that, in seconds: the clock of hooks ticks each millisecond, on a thread that may wait for
/// a core. What a flood of calls costs the host counts as the hook's.
const SLACK: f64 = 0.2;

const OURS: [&str; 13] = [
    "connection",
    "content-length",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-real-ip",
    "x-request-id",
];
