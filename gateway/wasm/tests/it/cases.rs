//! The table of cases of the SDK, which its gateway in memory fulfils, on the real gateway.

#[path = "../../../src/plugin/toolchain.rs"]
mod toolchain;

use std::path::PathBuf;

use proxy::filter::{RequestVerdict, ResponseVerdict};
use route::{Backends, IngressName};
use serde_json::{Value, json};
use wit_component::ComponentEncoder;

use super::*;
use toolchain::{Build, Toolchain};

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("text").chars();
    text.map(|c| u8::try_from(c).expect("Latin-1")).collect()
}

fn text<'v>(value: &'v Value, key: &str, missing: &'v str) -> &'v str {
    value
        .get(key)
        .map_or(missing, |text| text.as_str().expect("text"))
}

fn list(value: &Value, key: &str) -> Option<Vec<String>> {
    let items = value.get(key)?.as_array().expect("a list").iter();
    Some(
        items
            .map(|item| item.as_str().expect("text").to_owned())
            .collect(),
    )
}

fn fields(given: &Value) -> http::HeaderMap {
    let mut fields = http::HeaderMap::new();
    for pair in given
        .get("headers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = http::HeaderName::from_bytes(&bytes(&pair[0])).expect("a name");
        fields.append(
            name,
            http::HeaderValue::from_bytes(&bytes(&pair[1])).expect("a value"),
        );
    }
    fields
}

fn as_json(fields: &http::HeaderMap) -> Value {
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        json!([name.as_str(), latin1(value.as_bytes())])
    };
    fields.iter().map(pair).collect()
}

struct Listed {
    services: Option<Vec<String>>,
    endpoints: Option<Vec<String>>,
}

impl Services for Listed {
    fn has(&self, backend: &str) -> bool {
        let mut listed = self.services.iter().flatten();
        backend.contains(':') && (self.services.is_none() || listed.any(|listed| listed == backend))
    }

    fn keeps_session(&self, _steering: &Steering, endpoint: &str) -> bool {
        let mut listed = self.endpoints.iter().flatten();
        self.endpoints.is_none() || listed.any(|listed| listed == endpoint)
    }
}

fn lent(case: &Value) -> Box<Exchange> {
    let nothing = Value::Null;
    let given = case.get("request").unwrap_or(&nothing);
    let version = match text(given, "version", "HTTP/1.1") {
        "HTTP/2.0" => http::Version::HTTP_2,
        "HTTP/1.0" => http::Version::HTTP_10,
        _ => http::Version::HTTP_11,
    };
    let request = http::Request::builder()
        .method(text(given, "method", "GET"))
        .uri(text(given, "path", "/"))
        .version(version)
        .body(());
    let (mut request, ()) = request.expect("a request").into_parts();
    request.headers = fields(given);
    let tls = given.get("tls").is_some();
    let scheme = text(given, "scheme", if tls { "https" } else { "http" });
    let client: IpAddr = text(given, "clientIp", "192.0.2.1")
        .parse()
        .expect("an address");
    let header = |text: &str| http::HeaderValue::from_str(text).expect("a value");
    let facts = Facts {
        scheme: if scheme == "https" { "https" } else { "http" },
        authority: header(text(given, "authority", "example.com")),
        client: client.to_canonical(),
        port: given.get("clientPort").map_or(40_000, |port| {
            u16::try_from(port.as_u64().expect("a port")).expect("a port")
        }),
        tls,
        sni: given
            .get("sni")
            .map(|sni| sni.as_str().expect("text").into()),
        id: header(text(given, "id", "0123456789abcdef")),
        route: Arc::new(Route {
            ingress: IngressName {
                namespace: text(given, "namespace", "default").to_owned(),
                name: text(given, "ingress", "site").to_owned(),
            },
            rule_path: text(given, "rulePath", "/").to_owned(),
            rule_host: text(given, "ruleHost", "example.com").to_owned(),
            ..Route::default()
        }),
    };
    let gateway = case.get("gateway").unwrap_or(&nothing);
    let services = Listed {
        services: list(gateway, "services"),
        endpoints: list(gateway, "endpoints"),
    };
    Box::new(Exchange::new(request, facts, Arc::new(services)))
}

fn grants(case: &Value) -> Grants {
    let nothing = Value::Null;
    let gateway = case.get("gateway").unwrap_or(&nothing);
    let most = gateway.get("valueBytes").and_then(Value::as_u64);
    Grants {
        random: true,
        metrics: true,
        rate_limit: true,
        key_value: Some(most.map_or(1 << 20, |most| usize::try_from(most).expect("a size"))),
        backends: list(gateway, "backends").map_or(Backends::All, Backends::Listed),
        ..Grants::default()
    }
}

fn body(answer: &http::Response<bytes::Bytes>) -> Value {
    serde_json::from_slice(answer.body()).expect("JSON")
}

fn request_after(exchange: &Exchange, key: &str) -> Value {
    let steering = &exchange.steering;
    match key {
        "path" => json!(
            exchange
                .request
                .uri
                .path_and_query()
                .expect("a path")
                .as_str()
        ),
        "headers" => as_json(&exchange.request.headers),
        "backend" => json!(steering.backend),
        "pin" => json!(steering.pin.as_ref().map(|pin| (&pin.endpoint, pin.strict))),
        "hash" => json!(steering.hash.as_deref().map(latin1)),
        key => panic!("a request has no {key}"),
    }
}

fn response_after(exchange: &Exchange, key: &str) -> Value {
    let response = exchange.response.as_ref().expect("a response");
    match key {
        "status" => json!(response.status.as_u16()),
        "headers" => as_json(&response.headers),
        key => panic!("a response has no {key}"),
    }
}

fn plugin_of(component: &Arc<Component>, grants: Grants) -> Arc<Plugin> {
    let spec = PluginSpec {
        name: "default/probe".to_owned(),
        component: Arc::clone(component),
        grants,
        limits: Limits {
            time: Duration::from_millis(500),
            ..Limits::default()
        },
        isolation: Isolation::Shared,
        shared: Arc::new(Shared::default()),
    };
    Plugin::new(engine(), spec).expect("a plugin")
}

/// What differs from what is expected.
fn run(component: &Arc<Component>, case: &Value) -> Vec<String> {
    let name = case["name"].as_str().expect("a name");
    let mut wrong = Vec::new();
    let mut compare = |place: String, got: Value, expected: &Value| {
        if got != *expected {
            wrong.push(format!("{place}:\n  got {got}\n  not {expected}"));
        }
    };
    let plugin = plugin_of(component, grants(case));
    let attachment = attach_with(&plugin, &case["config"].to_string()).expect(name);
    let nothing = serde_json::Map::new();
    let mut instances = Instances::new();
    for (number, round) in case["rounds"]
        .as_array()
        .expect("rounds")
        .iter()
        .enumerate()
    {
        let place = format!("{name}, round {number}");
        let (mut exchange, verdict) = instances.on_request(&attachment, lent(case));
        if let Some(expected) = round.get("onRequest") {
            let got = match verdict {
                Ok(RequestVerdict::Respond(answer)) => body(&answer),
                Ok(RequestVerdict::Next) => json!("goes on"),
                Err(_) => json!("fails"),
            };
            compare(format!("{place}: onRequest"), got, expected);
        }
        let expected = round.get("request").and_then(Value::as_object);
        for (key, expected) in expected.unwrap_or(&nothing) {
            compare(
                format!("{place}: request.{key}"),
                request_after(&exchange, key),
                expected,
            );
        }
        let Some(given) = case.get("response") else {
            continue;
        };
        let status = given.get("status").and_then(Value::as_u64).unwrap_or(200);
        let status = u16::try_from(status).expect("a status");
        let response = http::Response::builder().status(status).body(());
        let (mut response, ()) = response.expect("a response").into_parts();
        response.headers = fields(given);
        exchange.response = Some(response);
        exchange.answered_by = given.get("backend").map(|backend| {
            let backend = backend.as_str().expect("text");
            (backend.into(), text(given, "endpoint", "").into())
        });
        let (exchange, verdict) = instances.on_response(&attachment, exchange);
        if let Some(expected) = round.get("onResponse") {
            let got = match verdict {
                Ok(ResponseVerdict::Replace(answer)) => body(&answer),
                Ok(ResponseVerdict::Next) => json!("goes on"),
                Err(_) => json!("fails"),
            };
            compare(format!("{place}: onResponse"), got, expected);
        }
        let expected = round.get("response").and_then(Value::as_object);
        for (key, expected) in expected.unwrap_or(&nothing) {
            compare(
                format!("{place}: response.{key}"),
                response_after(&exchange, key),
                expected,
            );
        }
    }
    wrong
}

/// The probe as a component: it is built when the tests run, as the program builds the filters that ship.
fn probe() -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the workspace");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let toolchain = Toolchain::find(&cargo, "rustc".as_ref()).expect("a Rust for filters");
    let modules = toolchain.build(&Build {
        manifest: &root.join("plugins/Cargo.toml"),
        packages: &["probe"],
        target_dir: &PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../plugins"),
        root: &root,
        locked: true,
        offline: false,
    });
    let modules = modules.unwrap_or_else(|error| panic!("{error}"));
    let module = std::fs::read(&modules[0]).expect("the probe");
    let encoder = ComponentEncoder::default().validate(true);
    let component = encoder
        .module(&module)
        .and_then(|mut encoder| encoder.encode());
    component.expect("a component")
}

/// One for all tests: building it takes a while.
fn component() -> &'static Arc<Component> {
    static COMPONENT: OnceLock<Arc<Component>> = OnceLock::new();
    COMPONENT.get_or_init(|| {
        let component = Component::load(engine(), &probe());
        Arc::new(component.expect("the probe loads"))
    })
}

#[test]
fn filters_of_two_plugins_keep_apart_what_they_keep_for_a_request() {
    let mut instances = Instances::new();
    let mut lent = lent(&Value::Null);
    for value in ["one", "two"] {
        let plugin = plugin_of(component(), grants(&Value::Null));
        let config =
            json!({"onRequest": [{"state": "k"}, {"set-state": ["k", value]}, {"state": "k"}]});
        let attachment = attach_with(&plugin, &config.to_string()).expect("accepted");
        let (back, verdict) = instances.on_request(&attachment, lent);
        let Ok(RequestVerdict::Respond(answer)) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(body(&answer), json!([null, null, value]));
        lent = back;
    }
}

#[test]
fn the_gateway_fulfils_all_cases_of_the_sdk() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../sdk/cases");
    let (mut number, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).expect("the cases") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a file");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("cases");
        number += cases.len();
        wrong.extend(cases.iter().flat_map(|case| run(component(), case)));
    }
    assert!(number > 30, "only {number} cases were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
