//! What operators see: metrics, the log, the list of plugins, and explanations.

use harness::{Gateway, ingress, plugin, portcullis, upstream};
use serde_json::{Value, json};

use super::{
    beside,
    parts::{Kit, dice, puppet, stamp},
    verdict, web,
};
use crate::guests::Guest;

const LABELS: &str = "namespace=\"default\",ingress=\"web\",filter=\"f\"";

#[tokio::test]
async fn calls_and_failures_are_counted_by_ingress_and_filter() {
    let up = upstream().start().await;
    let gw = beside(
        &up,
        web(
            "f=puppet, g=puppet",
            &[("f", r#"{"do":0}"#), ("g", r#"{"do":2}"#)],
        ),
    )
    .plugin(plugin("puppet", &puppet()).with("onError", json!("open")))
    .start()
    .await;
    let of = |name: &str, alias: &str, more: &str| {
        format!(
            "portcullis_filter_{name}{{{}{more}}}",
            LABELS.replace("\"f\"", &format!("{alias:?}"))
        )
    };
    assert_eq!(gw.metric(&of("calls_total", "f", "")).await, 0.0);
    for _ in 0..3 {
        assert_eq!(verdict(&gw).await, (200, None));
    }
    // A request hook and a response hook each.
    assert_eq!(gw.metric(&of("calls_total", "f", "")).await, 6.0);
    assert_eq!(gw.metric(&of("calls_total", "g", "")).await, 6.0);
    assert!(gw.metric(&of("nanoseconds_total", "f", "")).await > 0.0);
    let trap = ",reason=\"plugin-trap\"";
    assert_eq!(gw.metric(&of("failures_total", "g", trap)).await, 3.0);
    assert_eq!(gw.metric(&of("failures_total", "f", trap)).await, 0.0);
    assert_eq!(
        gw.metric("portcullis_plugin_ready{plugin=\"default/puppet\"}")
            .await,
        1.0
    );
    assert_eq!(
        gw.metric("portcullis_plugin_instances{plugin=\"default/puppet\"}")
            .await,
        1.0
    );
    assert!(
        gw.metric("portcullis_plugin_instances_failed_total{plugin=\"default/puppet\"}")
            .await
            >= 3.0
    );
}

/// Logs a line as an error and traps, as panics do.
fn panicking() -> Vec<u8> {
    let mut kit = Kit::default();
    let (log, words) = (
        kit.import("log", "write", (3, "")),
        kit.text("panicked at src/lib.rs:7: no such thing"),
    );
    kit.build(Guest {
        world: "import portcullis:filter/log@0.1.0;",
        ..Guest::on_request(&format!("(call {log} (i32.const 3) {words}) unreachable"))
    })
}

fn failures(gw: &Gateway) -> Vec<Value> {
    let lines = gw.log();
    let lines = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line.to_string().contains("it trapped"))
        .collect()
}

#[tokio::test]
async fn the_log_says_which_plugin_failed_where_for_which_request_and_what_it_said() {
    let up = upstream().start().await;
    let gw = beside(&up, web("f=panics", &[]))
        .plugin(plugin("panics", &panicking()))
        .flag("--trusted-proxies", "127.0.0.1/32")
        .start()
        .await;
    let asked = harness::get("/")
        .host("a.test")
        .header("X-Request-ID", "the-one");
    assert_eq!(gw.send(&asked).await.reason(), Some("plugin-trap"));
    harness::until("it is logged", async || !failures(&gw).is_empty()).await;
    let line = failures(&gw).remove(0);
    for (key, value) in [
        ("plugin", "default/panics"),
        ("namespace", "default"),
        ("ingress", "web"),
        ("request", "the-one"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert!(line.to_string().contains("no such thing"), "{line}");
    assert!(line.to_string().contains("unreachable"), "{line}");
}

#[tokio::test]
async fn a_filter_that_traps_at_every_request_does_not_flood_the_log() {
    let up = upstream().start().await;
    // Four Ingresses, so that breakers do not do the work alone.
    let mut builder = beside(&up, web("f=panics", &[])).plugin(plugin("panics", &panicking()));
    for number in 0..4 {
        let object = ingress(&format!("i{number}"))
            .host(&format!("h{number}.test"))
            .path("/", "svc", 80)
            .annotation("portcullis.dev/filters", "panics");
        builder = builder.manifest(object);
    }
    let gw = builder.start().await;
    let before = gw.log().len();
    let mut connection = gw.connect().await;
    for number in 0..400 {
        let host = format!("h{}.test", number % 4);
        let answer = connection.ask(&harness::get("/").host(&host)).await;
        assert_eq!(answer.status, 503);
    }
    let lines = gw.log().len() - before;
    assert!(lines < 200, "{lines} lines for 400 requests");
}

async fn listed(gw: &Gateway, name: &str) -> Value {
    let all = gw.plugins().await;
    let found = all.iter().find(|plugin| plugin["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no {name}: {all:?}"))
}

#[tokio::test]
async fn plugins_are_listed_with_their_state() {
    let up = upstream().start().await;
    let gw = beside(&up, web("puppet, dice, bad", &[]))
        .plugin(plugin("puppet", &puppet()))
        .plugin(plugin("dice", &dice()).with("grants", json!({"random": true})))
        .plugin(plugin("bad", b"nonsense"))
        .start()
        .await;
    let puppet = listed(&gw, "default/puppet").await;
    assert_eq!(puppet["state"], "ready", "{puppet}");
    assert_eq!(
        puppet["hooks"],
        json!(["request-hook", "response-hook"]),
        "{puppet}"
    );
    assert_eq!(puppet["imports"], json!([]), "{puppet}");
    let digest = puppet["digest"].as_str().expect("a digest").to_owned();
    assert!(
        digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()),
        "{puppet}"
    );
    let dice = listed(&gw, "default/dice").await;
    assert_eq!(
        (&dice["state"], &dice["imports"]),
        (&json!("ready"), &json!(["random"]))
    );
    let bad = listed(&gw, "default/bad").await;
    assert_eq!(bad["state"], "failed", "{bad}");
    assert!(
        bad["reason"].to_string().contains("not WebAssembly"),
        "{bad}"
    );
    assert_eq!(bad["digest"], Value::Null);

    // A new version that cannot be loaded: the old one is shown, with what is wrong.
    gw.write_bytes("puppet.wasm", b"nonsense");
    gw.until_problem(&["puppet", "last good"]).await;
    let now = listed(&gw, "default/puppet").await;
    assert_eq!(
        (&now["state"], &now["digest"]),
        (&json!("failed"), &json!(digest))
    );
    assert_eq!(
        gw.metric("portcullis_plugin_ready{plugin=\"default/puppet\"}")
            .await,
        0.0
    );
    gw.apply_plugin(plugin("bad", &stamp("1")));
    harness::until("it is ready", async || {
        listed(&gw, "default/bad").await["state"] == "ready"
    })
    .await;
}

async fn explained(gw: &Gateway, format: &str) -> Vec<String> {
    let folder = gw.folder().display().to_string();
    let admin = gw.admin().to_string();
    let mut all = Vec::new();
    for from in [["--manifests", &folder], ["--admin", &admin]] {
        let outcome = portcullis(&[
            "explain",
            from[0],
            from[1],
            "--format",
            format,
            "http://a.test/x",
        ])
        .await;
        assert_eq!(outcome.code, 0, "{outcome:?}");
        all.push(outcome.stdout);
    }
    all
}

#[tokio::test]
async fn an_explanation_shows_the_chain_and_why_each_is_there() {
    let up = upstream().start().await;
    let object = web("one=stamp, two=default/stamp", &[])
        .annotation("nginx.ingress.kubernetes.io/limit-rps", "5");
    let gw = beside(&up, object)
        .plugin(plugin("stamp", &stamp("1")))
        .start()
        .await;
    for told in explained(&gw, "text").await {
        for words in [
            ["one", "default/stamp", "portcullis.dev/filters"],
            ["two", "default/stamp", "portcullis.dev/filters"],
            [
                "rate-limit",
                "rate-limit",
                "nginx.ingress.kubernetes.io/limit-rps",
            ],
        ] {
            let line = told
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)));
            assert!(line.is_some(), "{words:?}: {told}");
        }
        assert!(told.contains("unless a filter decides"), "{told}");
    }
    for told in explained(&gw, "json").await {
        let json: Value = serde_json::from_str(&told).expect("JSON");
        let route = &json["route"];
        assert_eq!(
            route["filters"],
            json!(["rate-limit", "one", "two"]),
            "{told}"
        );
        assert_eq!(route["chain"][1]["plugin"], "default/stamp", "{told}");
        assert_eq!(
            route["chain"][1]["from"], "portcullis.dev/filters",
            "{told}"
        );
        assert_eq!(json["answer"], Value::Null, "{told}");
    }
    let routes = gw.routes().await;
    let web = routes
        .iter()
        .find(|route| route["host"] == "a.test")
        .expect("a route");
    assert_eq!(web["filters"], json!(["rate-limit", "one", "two"]));
}

#[tokio::test]
async fn an_explanation_of_a_broken_filter_says_its_answer() {
    let up = upstream().start().await;
    for (chain, code, word) in [
        ("bad", b"nonsense".to_vec(), "plugin-load"),
        ("gone", stamp("1"), "plugin-missing"),
        (
            "bad",
            Guest {
                configure: "unreachable".to_owned(),
                ..Guest::default()
            }
            .build(),
            "plugin-config",
        ),
    ] {
        let gw = beside(&up, web(chain, &[]))
            .plugin(plugin("bad", &code))
            .start()
            .await;
        assert_eq!(verdict(&gw).await, (503, Some(word.to_owned())));
        for told in explained(&gw, "text").await {
            let line = told.lines().find(|line| line.contains("answer"));
            assert!(
                line.is_some_and(|line| line.contains("503") && line.contains(word)),
                "{told}"
            );
            assert!(
                told.lines()
                    .any(|line| line.contains("filter") && line.contains(chain)),
                "{told}"
            );
        }
        for told in explained(&gw, "json").await {
            let json: Value = serde_json::from_str(&told).expect("JSON");
            assert_eq!(
                (&json["answer"]["status"], &json["answer"]["reason"]),
                (&json!(503), &json!(word)),
                "{told}"
            );
            assert_eq!(json["route"]["chain"][0]["reason"], word, "{told}");
        }
    }
}
