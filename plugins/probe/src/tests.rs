//! The table of cases, on the gateway in memory.

use std::path::PathBuf;

use portcullis_sdk::{
    Header, ResponseVerdict,
    testing::{
        Outcome, RequestBuilder, ResponseBuilder, ResponseOutcome, filter, request, response,
    },
};
use serde_json::{Value, json};

use super::{Probe, text::latin1};

/// The text of a key, if there is one.
fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    let text = value.get(key)?;
    Some(
        text.as_str()
            .unwrap_or_else(|| panic!("{key} is no text: {text}")),
    )
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("text");
    text.chars()
        .map(|c| u8::try_from(c).expect("Latin-1"))
        .collect()
}

fn list(value: &Value, key: &str) -> Option<Vec<String>> {
    let items = value.get(key)?.as_array().expect("a list").iter();
    Some(
        items
            .map(|item| item.as_str().expect("text").to_owned())
            .collect(),
    )
}

fn fields(value: &Value) -> Vec<(String, Vec<u8>)> {
    let fields = value.get("headers").and_then(Value::as_array);
    let pair = |pair: &Value| {
        (
            pair[0].as_str().expect("a name").to_owned(),
            bytes(&pair[1]),
        )
    };
    fields.into_iter().flatten().map(pair).collect()
}

fn as_json(fields: &[Header]) -> Value {
    let pair = |field: &Header| json!([field.name, latin1(&field.value)]);
    fields.iter().map(pair).collect()
}

fn client_request(case: &Value) -> RequestBuilder {
    let given = case.get("request").unwrap_or(&Value::Null);
    let method = text(given, "method").unwrap_or("GET");
    let mut built = request(method, text(given, "path").unwrap_or("/"));
    for (name, value) in fields(given) {
        built = built.header(&name, value);
    }
    if let Some(ip) = text(given, "clientIp") {
        built = built.client_ip(ip);
    }
    if let Some(port) = given.get("clientPort") {
        built = built.client_port(u16::try_from(port.as_u64().unwrap()).unwrap());
    }
    if given.get("tls").is_some() {
        built = built.tls(text(given, "sni").unwrap());
    }
    if let Some(scheme) = text(given, "scheme") {
        built = built.scheme(scheme);
    }
    if let Some(authority) = text(given, "authority") {
        built = built.authority(authority);
    }
    if let Some(version) = text(given, "version") {
        built = built.http_version(version);
    }
    if let Some(id) = text(given, "id") {
        built = built.request_id(id);
    }
    let namespace = text(given, "namespace").unwrap_or("default");
    built = built.ingress(namespace, text(given, "ingress").unwrap_or("site"));
    let host = text(given, "ruleHost").unwrap_or("example.com");
    built.rule(host, text(given, "rulePath").unwrap_or("/"))
}

fn backend_response(given: &Value) -> ResponseBuilder {
    let status = given.get("status").and_then(Value::as_u64).unwrap_or(200);
    let mut built = response(u16::try_from(status).unwrap());
    for (name, value) in fields(given) {
        built = built.header(&name, value);
    }
    match text(given, "backend") {
        Some(backend) => built.from(backend, text(given, "endpoint").unwrap()),
        None => built.local(),
    }
}

fn results(
    failure: Option<&str>,
    next: impl FnOnce() -> bool,
    body: impl FnOnce() -> Vec<u8>,
) -> Value {
    match failure {
        Some(_) => json!("fails"),
        None if next() => json!("goes on"),
        None => serde_json::from_slice(&body()).expect("JSON"),
    }
}

/// The request afterwards, in so far as the case looks at it.
fn after(outcome: &Outcome<'_, Probe>, key: &str) -> Value {
    match key {
        "path" => json!(outcome.path()),
        "headers" => as_json(&outcome.headers()),
        "backend" => json!(outcome.backend()),
        "pin" => json!(outcome.pin()),
        "hash" => json!(outcome.hash_key().map(latin1)),
        key => panic!("a request has no {key}"),
    }
}

/// The response afterwards, in so far as the case looks at it.
fn response_after(outcome: &ResponseOutcome<'_, Probe>, key: &str) -> Value {
    match key {
        "status" => json!(outcome.status()),
        "headers" => as_json(&outcome.headers()),
        key => panic!("a response has no {key}"),
    }
}

/// What differs from what is expected.
fn run(case: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |place: String, got: Value, expected: &Value| {
        if got != *expected {
            wrong.push(format!("{place}:\n  got {got}\n  not {expected}"));
        }
    };
    let name = case["name"].as_str().expect("a name");
    let filter = filter::<Probe>(case["config"].clone());
    let gateway = case.get("gateway").unwrap_or(&Value::Null);
    let set = |key: &str, set: &dyn Fn(&[&str])| {
        if let Some(items) = list(gateway, key) {
            set(&items.iter().map(String::as_str).collect::<Vec<_>>());
        }
    };
    set("services", &|items| filter.services(items));
    set("backends", &|items| filter.grant_backends(items));
    set("endpoints", &|items| filter.endpoints(items));
    if let Some(most) = gateway.get("valueBytes").and_then(Value::as_u64) {
        filter.grant_key_value(usize::try_from(most).unwrap());
    }
    let nothing = serde_json::Map::new();
    for (number, round) in case["rounds"]
        .as_array()
        .expect("rounds")
        .iter()
        .enumerate()
    {
        let place = format!("{name}, round {number}");
        let outcome = filter.request(client_request(case));
        if let Some(expected) = round.get("onRequest") {
            let next = || outcome.passes();
            let got = results(outcome.failure(), next, || outcome.answer().body.clone());
            compare(format!("{place}: onRequest"), got, expected);
        }
        let expected = round.get("request").and_then(Value::as_object);
        for (key, expected) in expected.unwrap_or(&nothing) {
            compare(
                format!("{place}: request.{key}"),
                after(&outcome, key),
                expected,
            );
        }
        let Some(given) = case.get("response") else {
            continue;
        };
        let outcome = outcome.response(backend_response(given));
        if let Some(expected) = round.get("onResponse") {
            let next = || *outcome.verdict() == ResponseVerdict::Next;
            let got = results(outcome.failure(), next, || outcome.answer().body.clone());
            compare(format!("{place}: onResponse"), got, expected);
        }
        let expected = round.get("response").and_then(Value::as_object);
        for (key, expected) in expected.unwrap_or(&nothing) {
            let got = response_after(&outcome, key);
            compare(format!("{place}: response.{key}"), got, expected);
        }
    }
    wrong
}

#[test]
fn the_gateway_in_memory_fulfils_all_cases() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../sdk/cases");
    let (mut number, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).expect("the cases") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a file");
        let cases: Vec<Value> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        number += cases.len();
        wrong.extend(cases.iter().flat_map(run));
    }
    assert!(number > 30, "only {number} cases were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
