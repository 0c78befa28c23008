//! Recorded cases of a filter that has all hooks.

use std::{fs, sync::OnceLock};

use serde_json::{Value, json};

use super::{cases, repository, scaffold, works};

const SOURCE: &str = r#"//! Does what messages tell it to.

use portcullis_sdk::prelude::*;

/// Nothing.
#[config]
struct Config {}

struct Hooks;

#[filter]
impl Filter for Hooks {
    type Config = Config;

    fn new(_: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        if let Some(backend) = request.header_str("x-to") {
            request.reroute(&backend)?;
        }
        match request.path().as_str() {
            "/panic" => panic!("on purpose"),
            "/error" => return Err(Failure::new("it cannot tell")),
            "/loop" => while request.tls() == request.tls() {},
            "/answer" => return Ok(LocalResponse::text(200, "own").into()),
            path => request.set_path(&format!("{path}?seen"))?,
        }
        Ok(RequestVerdict::Next)
    }

    fn on_request_body(&self, _: &mut Request, body: Vec<u8>) -> Result<BodyVerdict> {
        Ok(match body.as_slice() {
            b"bad" => LocalResponse::text(422, "bad").into(),
            b"same" => BodyVerdict::Next,
            body => BodyVerdict::Replace(body.to_ascii_uppercase()),
        })
    }

    fn on_response_body(&self, _: &Request, response: &mut Response, mut body: Vec<u8>) -> Result<BodyVerdict> {
        if response.status() != 200 {
            return Ok(BodyVerdict::Next);
        }
        response.set_header("x-body", "seen")?;
        body.extend(b"!");
        Ok(BodyVerdict::Replace(body))
    }

    fn on_response_chunk(&self, _: &Request, _: &Response, chunk: Vec<u8>, last: bool) -> Result<ChunkVerdict> {
        Ok(match chunk.as_slice() {
            b"drop" => ChunkVerdict::Drop,
            b"stop" => ChunkVerdict::Abort,
            b"fail" => return Err(Failure::new("no more")),
            _ if last => ChunkVerdict::Replace(b"end".to_vec()),
            _ => ChunkVerdict::Pass,
        })
    }
}
"#;

/// It as a component.
fn hooks() -> &'static [u8] {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    CODE.get_or_init(|| {
        let folder = repository().join("hooks");
        fs::create_dir_all(folder.join("src")).expect("a folder");
        let manifest = fs::read_to_string(scaffold().folder.join("Cargo.toml"));
        let manifest = manifest.expect("a manifest").replace("my-filter", "hooks");
        fs::write(folder.join("Cargo.toml"), manifest).expect("a folder");
        fs::write(folder.join("src/lib.rs"), SOURCE).expect("a folder");
        works(&folder, &["build"]);
        fs::read(folder.join("hooks.wasm")).expect("the component")
    })
}

fn case(request: Value, expect: Value) -> Value {
    Value::from_iter([("request", request), ("expect", expect)])
}

/// With a response of this status and body.
fn answered(status: u16, body: Value, expect: Value) -> Value {
    let response = Value::from_iter([("status", json!(status)), ("body", body)]);
    Value::from_iter([
        ("request", json!({})),
        ("response", response),
        ("expect", expect),
    ])
}

#[test]
fn requests_are_changed_sent_elsewhere_and_answered() {
    let all = [
        case(
            json!({"path": "/a"}),
            json!({"request": {"path": "/a?seen"}}),
        ),
        case(
            json!({"headers": {"x-to": "svc:80"}}),
            json!({"verdict": "next", "backend": "svc:80"}),
        ),
        case(
            json!({"body": "text"}),
            json!({"verdict": "next", "request": {"body": "TEXT"}}),
        ),
        case(
            json!({"body": ["sa", "me"]}),
            json!({"request": {"body": "same"}}),
        ),
        case(
            json!({"body": "bad"}),
            json!({"verdict": "respond", "status": 422}),
        ),
        // The hooks of responses see it too.
        case(
            json!({"path": "/answer"}),
            json!({"verdict": "respond", "status": 200, "body": "end", "headers": {"x-body": "seen"}}),
        ),
    ];
    cases::pass(hooks(), &all, &[]);
}

#[test]
fn bodies_are_replaced_dropped_and_broken_off() {
    // A filter that wants bodies whole gets one piece of them.
    let all = [
        answered(
            200,
            json!(["a", "b"]),
            json!({"headers": {"x-body": "seen"}, "body": ["end"]}),
        ),
        answered(
            404,
            json!(["a", "drop", "b"]),
            json!({"status": 404, "body": ["end"]}),
        ),
        answered(404, json!("stop"), json!({"verdict": "abort", "body": ""})),
        answered(
            404,
            json!("fail"),
            json!({"verdict": "fail", "reason": "plugin-trap", "status": 0}),
        ),
        answered(404, json!("drop"), json!({"verdict": "next", "body": [""]})),
    ];
    cases::pass(hooks(), &all, &[]);
}

#[test]
fn failures_have_the_gateways_words_for_them() {
    let large = "x".repeat((64 << 10) + 1);
    let all = [
        case(
            json!({"path": "/panic"}),
            json!({"verdict": "fail", "reason": "plugin-trap", "request": {"path": "/panic"}}),
        ),
        case(
            json!({"path": "/error"}),
            json!({"verdict": "fail", "reason": "plugin-trap"}),
        ),
        case(json!({"path": "/loop"}), json!({"verdict": "fail"})),
        case(
            json!({"body": large}),
            json!({"verdict": "fail", "reason": "body-too-large"}),
        ),
        answered(
            404,
            json!(large),
            json!({"verdict": "fail", "reason": "response-too-large"}),
        ),
    ];
    cases::pass(hooks(), &all, &[]);
    let said = |path: &str, what: &str| {
        let one = case(json!({"path": path}), json!({"verdict": "next"}));
        let outcome = cases::test(hooks(), &[one], &[]);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert!(outcome.stdout.contains(what), "{outcome:?}");
    };
    said("/panic", "panicked at src/lib.rs:24:25: on purpose");
    said(
        "/panic",
        "failed: the verdict is \"fail plugin-trap\" instead of \"next\"",
    );
    said("/error", "it cannot tell");
    said("/loop", "plugin-");
}
