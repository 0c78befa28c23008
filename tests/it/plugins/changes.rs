//! Changes while requests run: new code, bad code, and many changes under load.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use harness::{Gate, Gateway, Reply, get, plugin, upstream};
use serde_json::json;

use super::{
    beside,
    parts::{Kit, dice, puppet, stamp},
    until_reason, verdict, web,
};
use crate::guests::{Guest, NEXT, NEXT_RESPONSE};

async fn until_version(gw: &Gateway, version: &str) {
    harness::until(&format!("version {version} serves"), async || {
        let answer = gw.get("a.test", "/").await;
        answer.status == 200 && answer.saw().header("x-version") == Some(version)
    })
    .await;
}

#[tokio::test]
async fn a_new_file_is_picked_up() {
    let up = upstream().start().await;
    let gw = beside(&up, web("stamp", &[]))
        .plugin(plugin("stamp", &stamp("1")))
        .start()
        .await;
    until_version(&gw, "1").await;
    for version in ["2", "3", "1"] {
        gw.write_bytes("stamp.wasm", &stamp(version));
        until_version(&gw, version).await;
    }
    // A file that comes with its first content, and one that is written in place.
    std::fs::write(gw.folder().join("stamp.wasm"), stamp("4")).expect("a writable folder");
    until_version(&gw, "4").await;
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
}

#[tokio::test]
async fn bad_code_keeps_the_last_good_one_and_says_so() {
    let up = upstream().start().await;
    let good = stamp("1");
    let gw = beside(&up, web("stamp", &[]))
        .plugin(plugin("stamp", &good))
        .start()
        .await;
    until_version(&gw, "1").await;
    let trapping = Kit::default().build(Guest {
        configure: "unreachable".to_owned(),
        ..Guest::default()
    });
    let cases: [(&[u8], &str); 4] = [
        (b"", "not WebAssembly"),
        (&good[..good.len() / 2], "not copied whole"),
        (&dice(), "random: true"),
        (&trapping, "unreachable"),
    ];
    for (code, words) in cases {
        gw.write_bytes("stamp.wasm", code);
        let problem = gw.until_problem(&[words, "last good"]).await;
        let field = problem["file"].as_str().expect("a file");
        let kind = problem["kind"].as_str().expect("a kind");
        assert!(field.contains(&format!("{kind}-default-")), "{problem}");
        assert!(
            problem["line"].as_u64().is_some_and(|line| line > 0),
            "{problem}"
        );
        until_version(&gw, "1").await;
        // Still so when something else changes.
        gw.apply(
            harness::ingress("other")
                .host(&format!("o{}.test", words.len()))
                .path("/", "svc", 80),
        );
        gw.until_status(&format!("o{}.test", words.len()), "/", 200)
            .await;
        until_version(&gw, "1").await;
    }
    gw.write_bytes("stamp.wasm", &stamp("2"));
    until_version(&gw, "2").await;
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
}

#[tokio::test]
async fn a_bad_configuration_keeps_the_last_good_one_and_says_so() {
    let up = upstream().start().await;
    let schema = r#"{"type":"object","properties":{"do":{"type":"integer"}}}"#;
    let mut kit = Kit::default();
    let tag = kit.put(("request", "set"), "x-config", super::parts::CONFIG);
    let code = kit.build(Guest {
        schema,
        configure: super::parts::KEEP.to_owned(),
        ..Guest::on_request(&(tag + NEXT))
    });
    let config = |text: &str| web("p", &[("p", text)]);
    let gw = beside(&up, config("{do: 1}"))
        .plugin(plugin("p", &code))
        .start()
        .await;
    let serving = async || {
        gw.get("a.test", "/")
            .await
            .saw()
            .header("x-config")
            .map(str::to_owned)
    };
    assert_eq!(serving().await.as_deref(), Some(r#"{"do":1}"#));
    for (text, words) in [
        ("{do: x}", "/do"),
        ("{do: [", "filter.p"),
        ("no map", "filter.p"),
    ] {
        gw.apply(config(text));
        let problem = gw.until_problem(&[words, "filter.p"]).await;
        assert_eq!(
            (&problem["kind"], &problem["name"]),
            (&json!("Ingress"), &json!("web"))
        );
        assert!(
            problem["line"].as_u64().is_some_and(|line| line > 0),
            "{problem}"
        );
        assert_eq!(serving().await.as_deref(), Some(r#"{"do":1}"#), "{text}");
    }
    gw.apply(config("{do: 2}"));
    harness::until("the new one serves", async || {
        serving().await.as_deref() == Some(r#"{"do":2}"#)
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_finish_with_the_filters_that_they_began_with() {
    let gate = Gate::closed();
    let wait = gate.clone();
    let up = upstream()
        .answer(move |seen| match seen.target.as_str() {
            "/held" => Reply::text("held").after(&wait),
            _ => Reply::echo(),
        })
        .start()
        .await;
    let both = |version: &str| {
        let mut kit = Kit::default();
        let set = kit.change(("request", "set"), "x-version", version);
        let back = kit.change(("response", "set"), "x-version", version);
        kit.build(Guest {
            on_response: Some(back + NEXT_RESPONSE),
            ..Guest::on_request(&(set + NEXT))
        })
    };
    let gw = Arc::new(
        beside(&up, web("both", &[]))
            .plugin(plugin("both", &both("1")))
            .start()
            .await,
    );
    let mut held = Vec::new();
    for _ in 0..3 {
        let gw = gw.clone();
        held.push(tokio::spawn(async move { gw.get("a.test", "/held").await }));
    }
    harness::until("three requests are held", async || up.seen().len() == 3).await;
    gw.apply_plugin(plugin("both", &both("2")));
    until_version(&gw, "2").await;
    // Even one without that filter, and one without the plugin.
    gw.apply(web("", &[]));
    harness::until("no filter", async || {
        gw.get("a.test", "/")
            .await
            .saw()
            .header("x-version")
            .is_none()
    })
    .await;
    gw.remove("Plugin-default-both.yaml");
    harness::until("no plugin", async || gw.plugins().await.is_empty()).await;
    gate.open();
    for task in held {
        let answer = harness::within("the answer", task).await.expect("no panic");
        assert_eq!(
            (answer.status, answer.header("x-version")),
            (200, Some("1"))
        );
    }
}

/// How many changes; `PORTCULLIS_TEST_CHANGES` sets another number.
fn changes() -> usize {
    let text = std::env::var_os("PORTCULLIS_TEST_CHANGES");
    let number = text.and_then(|text| text.to_str()?.parse().ok());
    number.unwrap_or(100)
}

#[tokio::test]
async fn many_changes_of_a_plugin_under_load_fail_nothing_and_cost_no_memory() {
    let up = upstream().start().await;
    let object = web("stamp, puppet", &[("puppet", r#"{"do":0}"#)]);
    let gw = beside(&up, object)
        .plugin(plugin("stamp", &stamp("0")))
        .plugin(plugin("puppet", &puppet()))
        .flag("--workers", "2")
        .start()
        .await;
    let gw = Arc::new(gw);
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load = |gw: Arc<Gateway>, stop: Arc<AtomicBool>, count: Arc<AtomicUsize>| async move {
        let mut connection = gw.connect().await;
        while !stop.load(Ordering::SeqCst) {
            let answer = connection.ask(&get("/").host("a.test")).await;
            assert_eq!((answer.status, answer.reason()), (200, None));
            assert_eq!(answer.all("x-back").len(), 1);
            count.fetch_add(1, Ordering::SeqCst);
            harness::pause(std::time::Duration::from_millis(2)).await;
        }
    };
    let tasks: Vec<_> = (0..2)
        .map(|_| tokio::spawn(load(gw.clone(), stop.clone(), count.clone())))
        .collect();
    let versions = [stamp("0"), stamp("1")];
    let (mut early, changes) = (0, changes());
    for number in 1..=changes {
        gw.write_bytes("stamp.wasm", &versions[number % 2]);
        until_version(&gw, &(number % 2).to_string()).await;
        if number == changes / 5 {
            early = gw.resident();
        }
    }
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        harness::within("the load to end", task)
            .await
            .expect("no request failed");
    }
    assert!(count.load(Ordering::SeqCst) > changes, "{count:?}");
    let late = gw.resident();
    assert!(late < early + (12 << 20), "{early} bytes became {late}");
    let gauge = "portcullis_plugin_instances{plugin=\"default/stamp\"}";
    harness::until("instances of old versions are gone", async || {
        gw.metric(gauge).await <= 2.0
    })
    .await;
    assert!(gw.problems().await.is_empty());
}

#[tokio::test]
async fn five_failures_open_the_breaker_and_a_new_version_or_configuration_closes_it() {
    let up = upstream().start().await;
    let trap = |n: u8| web("puppet", &[("puppet", &format!("{{\"do\":2,\"n\":{n}}}"))]);
    let gw = beside(&up, trap(0))
        .plugin(plugin("puppet", &puppet()))
        .start()
        .await;
    let opened = async || {
        let mut words = Vec::new();
        for _ in 0..6 {
            words.push(verdict(&gw).await.1.unwrap_or_default());
        }
        words
    };
    let expected = [["plugin-trap"; 5].as_slice(), &["plugin-open"]].concat();
    assert_eq!(opened().await, expected);
    assert!(
        gw.log().iter().any(|line| line.contains("left alone")),
        "the log says so"
    );
    // It is tried again by itself, after a second.
    until_reason(&gw, Some("plugin-trap")).await;
    gw.apply(trap(1));
    gw.apply(
        harness::ingress("marker")
            .host("marker.test")
            .path("/", "svc", 80),
    );
    gw.until_status("marker.test", "/", 200).await;
    assert_eq!(opened().await, expected, "a new configuration begins anew");
    // New code that works serves at once, however long the breaker would have been open.
    gw.write_bytes("puppet.wasm", &stamp("1"));
    until_reason(&gw, None).await;
    assert_eq!(gw.get("b.test", "/").await.status, 200);
}

#[tokio::test]
async fn while_new_code_is_compiled_the_old_serves() {
    let up = upstream().start().await;
    let gw = beside(&up, web("stamp", &[]))
        .plugin(plugin("stamp", &stamp("1")))
        .flag("--plugin-cache", "off")
        .start()
        .await;
    until_version(&gw, "1").await;
    let mut kit = Kit::default();
    let set = kit.change(("request", "set"), "x-version", "2");
    let step = "(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 77)) (i32.rotl (local.get 0) (i32.const 3))))";
    let function = format!(
        "(func (param i32) (result i32) {} (local.get 0))\n",
        step.repeat(40)
    );
    let large = kit.build(Guest {
        own: function.repeat(6_000),
        ..Guest::on_request(&(set + NEXT))
    });
    gw.write_bytes("stamp.wasm", &large);
    harness::until("it is loading", async || {
        let plugins = gw.plugins().await;
        let [plugin] = plugins.as_slice() else {
            panic!("one plugin: {plugins:?}");
        };
        assert_ne!(plugin["state"], "failed", "{plugin}");
        plugin["state"] == "loading" && plugin["digest"].is_string()
    })
    .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(answer.saw().header("x-version"), Some("1"));
    until_version(&gw, "2").await;
    assert_eq!(gw.plugins().await[0]["state"], "ready");
    assert!(gw.problems().await.is_empty());
}
