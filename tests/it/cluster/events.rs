//! Events: each problem is told when it comes and when it goes, and not again and again.

use std::{collections::BTreeSet, time::Duration};

use harness::{IngressBuilder, gateway, ingress, plugin, until};
use serde_json::{Value, json};

use super::*;

pub(super) const KEY: &str = "portcullis.dev/ssl-redirect";

fn web() -> IngressBuilder {
    ingress("web").host("a.test").path("/", "svc", 80)
}

/// The events on an object with this reason.
fn told(api: &Api, name: &str, reason: &str) -> Vec<Value> {
    let all = api.all("events").into_iter();
    let own = all.filter(|event| event["regarding"]["name"] == name && event["reason"] == reason);
    own.collect()
}

/// Waits for so many of them.
async fn until_told(api: &Api, name: &str, reason: &str, count: usize) -> Value {
    until(
        &format!("{count} events on {name} say {reason}"),
        async || told(api, name, reason).len() == count,
    )
    .await;
    told(api, name, reason).pop().unwrap_or_default()
}

/// How often events were written.
fn writes(api: &Api) -> usize {
    let all = api.requests().into_iter();
    let verb = |r: &String| r.starts_with("create events") || r.starts_with("patch events");
    all.filter(verb).count()
}

#[tokio::test]
async fn a_problem_is_told_once_and_so_is_its_end() {
    let (api, _up, gw) = serving().await;
    api.apply(web().annotation(KEY, "perhaps"));
    let event = until_told(&api, "web", "Problem", 1).await;
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["regarding"]["kind"], "Ingress");
    let note = event["note"].as_str().expect("a note");
    assert!(note.contains(KEY), "{event}");
    // It lasts, while other things change.
    for round in 0..5 {
        let host = format!("r{round}.test");
        api.apply(ingress("other").host(&host).path("/", "svc", 80));
        gw.until_status(&host, "/", 200).await;
    }
    // One of another object, which is told after what was to be told before.
    let source = format!("registry.example/geo@sha256:{}", "a".repeat(64));
    let object = plugin("geo", b"").without_file();
    let object = object.with("source", json!({"oci": source})).object();
    api.apply(object.clone().set("spec/isolation", json!("none")));
    let event = until_told(&api, "geo", "Problem", 1).await;
    assert_eq!(event["regarding"]["kind"], "Plugin");
    assert_eq!(writes(&api), 2);
    api.apply(object);
    let event = until_told(&api, "geo", "Resolved", 1).await;
    assert_eq!(event["type"], "Normal");
    api.apply(web());
    until_told(&api, "web", "Resolved", 1).await;
    assert_eq!(writes(&api), 4);

    // The same again is the same event, once more.
    api.apply(web().annotation(KEY, "perhaps"));
    until("it is counted", async || {
        let all = told(&api, "web", "Problem");
        matches!(all.as_slice(), [one] if one["series"]["count"] == 2)
    })
    .await;
    assert!(told(&api, "other", "Problem").is_empty());
}

#[tokio::test]
async fn a_gateway_that_starts_does_not_repeat_what_was_told() {
    let (api, _up, mut gw) = serving().await;
    api.apply(web().annotation(KEY, "perhaps"));
    until_told(&api, "web", "Problem", 1).await;
    gw.signal("TERM");
    assert_eq!(gw.exited().await, Some(0));
    let gw = gateway().cluster(&api).start().await;
    gw.until_problem(&[KEY]).await;
    let later = ingress("later").host("l.test").path("/", "svc", 80);
    api.apply(later.annotation(KEY, "perhaps"));
    until_told(&api, "later", "Problem", 1).await;
    let event = until_told(&api, "web", "Problem", 1).await;
    assert!(event["series"].is_null(), "{event}");
    // What it found, it tells the end of.
    api.apply(web());
    until_told(&api, "web", "Resolved", 1).await;
}

/// The Ingresses that have an event with this reason.
fn told_of(api: &Api, reason: &str) -> BTreeSet<String> {
    let all = api.all("events").into_iter();
    let own = all.filter(|event| event["reason"] == reason);
    own.filter_map(|event| Some(event["regarding"]["name"].as_str()?.to_owned()))
        .collect()
}

/// The first 50 events are written at once, the others one a second: for longer than another gateway takes to
/// take over.
#[tokio::test]
async fn what_waits_for_its_turn_is_told_and_only_that_is_resolved() {
    let (api, _up, gw) = serving().await;
    until("it leads", async || {
        gw.log().iter().any(|line| line.contains("\"leading\""))
    })
    .await;
    let set = |name: &str, value: &str| {
        let host = format!("{name}.test");
        let object = ingress(name).host(&host).path("/", "svc", 80);
        api.apply(object.annotation(KEY, value));
    };
    let all: Vec<String> = (0..65).map(|number| format!("i{number:02}")).collect();
    all.iter().for_each(|name| set(name, "perhaps"));
    until("the first are told", async || {
        told_of(&api, "Problem").len() >= 50
    })
    .await;
    // All that were told are mended, and some of those that wait.
    let told = told_of(&api, "Problem");
    let mut waiting: Vec<&String> = all.iter().filter(|name| !told.contains(*name)).collect();
    assert!(waiting.len() > 5, "{told:?}");
    let mended = waiting.split_off(waiting.len() - 3);
    for name in told.iter().chain(mended.iter().copied()) {
        set(name, "true");
    }
    set("late", "perhaps");
    let late = "late".to_owned();
    let wanted: BTreeSet<String> = waiting.into_iter().chain([&late]).cloned().collect();
    let each = async {
        while !wanted.is_subset(&told_of(&api, "Problem")) {
            harness::pause(Duration::from_millis(50)).await;
        }
    };
    harness::within_time(
        Duration::from_secs(120),
        "each problem that lasts is told",
        each,
    )
    .await;
    // In turn with those that are resolved, and of nothing else.
    let (problems, resolved) = (told_of(&api, "Problem"), told_of(&api, "Resolved"));
    assert!(!resolved.is_empty());
    assert!(
        resolved.is_subset(&problems),
        "{resolved:?} of {problems:?}"
    );
    assert!(resolved.is_disjoint(&wanted), "{resolved:?}");
}
