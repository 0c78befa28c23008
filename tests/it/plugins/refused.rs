//! Bad input, each kind: a problem of the running gateway and of `portcullis check` that says which
//! object, which key and what to do; the route is closed, and every other is untouched.

use harness::{PluginBuilder, plugin, portcullis, upstream};
use serde_json::{Value, json};

use super::{
    beside,
    parts::{dice, stamp},
    web,
};
use crate::guests::Guest;

/// A wrong thing, what becomes of requests, and what the problem says.
struct Case {
    plugin: Option<PluginBuilder>,
    chain: &'static str,
    config: Option<&'static str>,
    reason: &'static str,
    kind: &'static str,
    field: &'static str,
    words: &'static [&'static str],
}

fn load(code: &[u8], field: &'static str, words: &'static [&'static str]) -> Case {
    Case {
        plugin: Some(plugin("bad", code)),
        chain: "bad",
        config: None,
        reason: "plugin-load",
        kind: "Plugin",
        field,
        words,
    }
}

fn configured(guest: &Guest, config: &'static str, words: &'static [&'static str]) -> Case {
    Case {
        plugin: Some(plugin("bad", &guest.build())),
        chain: "x=bad",
        config: Some(config),
        reason: "plugin-config",
        kind: "Ingress",
        field: "metadata.annotations[portcullis.dev/filter.x]",
        words,
    }
}

fn other_version() -> Vec<u8> {
    let wit = include_str!("../../../wit/filter.wit").replace("filter@0.1.0;", "filter@0.2.0;");
    Guest::default().build_against(&wit)
}

fn with_wasi() -> Vec<u8> {
    let text = r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#;
    wat::parse_str(text).expect("a component")
}

fn bombs() -> Vec<u8> {
    let instances = "(core instance (instantiate $m))".repeat(10_000);
    let text = format!("(component (core module $m (memory 1)) {instances})");
    wat::parse_str(text).expect("a component")
}

fn refusing() -> Guest {
    Guest {
        own: "(data (i32.const 1024) \"\\01\\00\\00\\00\\40\\04\\00\\00\\04\\00\\00\\00\\44\\04\\00\\00\\0a\\00\\00\\00\")\n(data (i32.const 1088) \"/a/bno such b\")".to_owned(),
        configure: "i32.const 1024".to_owned(),
        ..Guest::default()
    }
}

fn codes() -> Vec<Case> {
    let source = "spec.source";
    let whole = stamp("1");
    let mut large = whole.clone();
    large.resize((32 << 20) + 1, 0);
    let describing = |body: &str| {
        let describe = format!("{body} i32.const 64");
        Guest {
            describe,
            ..Guest::default()
        }
        .build()
    };
    vec![
        load(b"#!/bin/sh\n", source, &["not WebAssembly", "component"]),
        load(b"", source, &["not WebAssembly"]),
        load(&whole[..whole.len() - 10], source, &["not copied whole"]),
        load(
            &wat::parse_str("(module)").expect("a module"),
            source,
            &["core module", "plugin build"],
        ),
        load(
            &other_version(),
            source,
            &["portcullis:filter@0.2.0", "0.1", "rebuild"],
        ),
        load(&with_wasi(), source, &["wasi:cli/environment@0.2.0"]),
        load(&bombs(), source, &["instances count exceeds"]),
        load(&large, source, &["33554433", "32 MiB"]),
        load(&dice(), "spec.grants", &["random: true"]),
        load(
            &describing("(loop (br 0))"),
            source,
            &["`describe`", "longer"],
        ),
        load(
            &describing("unreachable"),
            source,
            &["`describe`", "unreachable"],
        ),
        load(
            &Guest {
                schema: "not json",
                ..Guest::default()
            }
            .build(),
            source,
            &["schema"],
        ),
        Case {
            plugin: Some(plugin("bad", &whole).with("sha256", json!("ab".repeat(32)))),
            ..load(&whole, "spec.sha256", &["SHA-256", "abab"])
        },
        Case {
            plugin: Some(plugin("bad", &whole).without_file()),
            ..load(&whole, source, &["bad.wasm", "--plugins"])
        },
        Case {
            plugin: Some(plugin("bad", &whole).with("limits", json!({"memory": "64Ki"}))),
            ..load(&whole, "spec.limits", &["131072", "65536", "raise"])
        },
    ]
}

fn configurations() -> Vec<Case> {
    let schema = r#"{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}}}},"additionalProperties":false}"#;
    let strict = || Guest {
        schema,
        ..Guest::default()
    };
    let configuring = |body: &str| Guest {
        configure: body.to_owned(),
        ..Guest::default()
    };
    vec![
        configured(&configuring("unreachable"), "{}", &["unreachable"]),
        configured(
            &configuring("(loop (br 0)) i32.const 16"),
            "{}",
            &["longer"],
        ),
        configured(&refusing(), "{}", &["/a/b", "no such b"]),
        configured(&strict(), "{a: {b: text}}", &["/a/b", "integer"]),
        configured(&strict(), "{a: {}, typo: 1}", &["typo"]),
        configured(&strict(), "a: [unclosed", &["write a map"]),
        configured(&strict(), "just text", &["write a map"]),
        configured(&strict(), "- a\n- list", &["write a map"]),
        Case {
            chain: "bad, no-such-filter",
            reason: "plugin-missing",
            field: "metadata.annotations[portcullis.dev/filters]",
            config: None,
            ..configured(&Guest::default(), "{}", &["no-such-filter", "503"])
        },
        Case {
            chain: "bad, /slash",
            reason: "plugin-missing",
            field: "metadata.annotations[portcullis.dev/filters]",
            config: None,
            ..configured(&Guest::default(), "{}", &["/slash", "NAMESPACE"])
        },
        Case {
            plugin: None,
            chain: "bad",
            reason: "plugin-missing",
            field: "metadata.annotations[portcullis.dev/filters]",
            config: None,
            ..configured(&Guest::default(), "{}", &["default/bad"])
        },
    ]
}

/// Whether this is the problem that was expected.
fn fits(case: &Case, problem: &Value) -> bool {
    let text = format!("{} {}", problem["message"], problem["hint"]);
    problem["severity"] == "error"
        && problem["kind"] == case.kind
        && problem["field"] == case.field
        && case.words.iter().all(|word| text.contains(word))
}

async fn refused(cases: Vec<Case>) {
    let up = upstream().start().await;
    for case in cases {
        let configs: Vec<_> = case.config.iter().map(|config| ("x", *config)).collect();
        let mut builder = beside(&up, web(case.chain, &configs));
        if let Some(plugin) = &case.plugin {
            builder = builder.plugin(plugin.clone());
        }
        let gw = builder.start().await;
        let at = format!("{} {:?}", case.chain, case.words);
        let answer = gw.get("a.test", "/").await;
        assert_eq!(
            (answer.status, answer.reason()),
            (503, Some(case.reason)),
            "{at}"
        );
        assert_eq!(gw.get("b.test", "/").await.status, 200, "{at}");

        // It says so while it runs.
        let problems = gw.problems().await;
        let told = problems.iter().find(|problem| fits(&case, problem));
        let told = told.unwrap_or_else(|| panic!("{at}: {problems:#?}"));
        let name = if case.kind == "Plugin" { "bad" } else { "web" };
        assert_eq!(
            (&told["namespace"], &told["name"]),
            (&json!("default"), &json!(name))
        );
        let file = told["file"].as_str().expect("a file");
        assert!(
            file.ends_with(&format!("{}-default-{name}.yaml", case.kind)),
            "{file}"
        );
        assert!(told["line"].as_u64().is_some_and(|line| line > 0), "{told}");
        assert!(
            told["hint"].as_str().is_some_and(|hint| !hint.is_empty()),
            "{told}"
        );

        // And `check` says it beforehand.
        let folder = gw.folder().display().to_string();
        let outcome = portcullis(&["check", &folder]).await;
        assert_eq!(outcome.code, 1, "{at}: {outcome:?}");
        let place = format!(
            "{}-default-{name}.yaml:{}: error: {} default/{name} {}: ",
            case.kind, told["line"], case.kind, case.field
        );
        let line = outcome.stdout.lines().find(|line| {
            line.contains(&place) && case.words.iter().all(|word| line.contains(word))
        });
        assert!(
            line.is_some_and(|line| line.contains("; ")),
            "{at}: {place}: {}",
            outcome.stdout
        );
    }
}

#[tokio::test]
async fn bad_code_closes_its_route_and_says_what_to_do() {
    refused(codes()).await;
}

#[tokio::test]
async fn bad_configuration_closes_its_route_and_says_what_to_do() {
    refused(configurations()).await;
}
