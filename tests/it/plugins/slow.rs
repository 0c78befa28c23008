//! Plugins whose `new` takes long, though not too long: others do not wait for them.

use std::time::{Duration, Instant};

use harness::{Gateway, get, ingress, plugin, upstream};
use serde_json::json;

use super::{
    beside,
    parts::{Kit, stamp},
    web,
};
use crate::guests::{Guest, NEXT};

/// Says its version, and takes about so many of the 100 ms that it may for each configuration.
fn slow(version: &str, ms: u32) -> Vec<u8> {
    let spin = format!(
        "(local.set $length (i32.const {}))
        (loop (br_if 0 (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))
        i32.const 16",
        ms * 3_000_000
    );

    let mut kit = Kit::default();
    let set = kit.change(("request", "set"), "x-version", version);
    kit.build(Guest {
        configure: spin,
        ..Guest::on_request(&(set + NEXT))
    })
}

/// One file with an Ingress for each of the hosts, and at its end one of another namespace.
fn crowd() -> String {
    let slow = |number| {
        let object = ingress(&format!("slow{number}")).host(&host(number));
        object.annotation("portcullis.dev/filters", "slow")
    };
    let other = ingress("other").namespace("other").host("other.test");
    let other = other.annotation("portcullis.dev/filters", "stamp");
    let all = (0..CROWD).map(slow).chain([other]);
    let all = all.map(|object| object.path("/", "svc", 80).object().0.to_string());
    all.collect::<Vec<_>>().join("\n---\n")
}

fn host(number: usize) -> String {
    format!("slow{number}.test")
}

/// What some hosts of the crowd answer: the version that their filter says, or why they have none.
async fn crowd_says(gw: &Gateway) -> Vec<String> {
    let mut connection = gw.connect().await;
    let mut said = Vec::new();
    for number in (0..CROWD).step_by(4) {
        let answer = connection.ask(&get("/").host(&host(number))).await;
        said.push(match answer.status {
            200 => answer.saw().header("x-version").unwrap_or("-").to_owned(),
            status => answer
                .reason()
                .map_or_else(|| status.to_string(), str::to_owned),
        });
    }
    said
}

/// Waits until all say the same, and sees that they say nothing else than these before.
async fn until_all_say(gw: &Gateway, version: &str, meanwhile: &[&str]) {
    harness::until(&format!("all say {version}"), async || {
        let said = crowd_says(gw).await;
        assert!(
            said.iter().all(|said| meanwhile.contains(&&**said)),
            "{said:?}"
        );
        said.iter().all(|said| said == version)
    })
    .await;
}

#[tokio::test]
async fn what_takes_a_namespace_long_to_configure_holds_up_no_other() {
    let up = upstream().start().await;
    let gw = beside(&up, web("", &[]))
        .plugin(plugin("slow", &slow("1", 30)))
        .plugin(plugin("stamp", &stamp("1")).namespace("other"))
        .start()
        .await;

    // New routes: those whose turn has not come are closed, and all come in the end.
    gw.write("crowd.yaml", &crowd());
    until_all_say(&gw, "1", &["no-route", "plugin-load", "1"]).await;
    // The Service of the other one is missing, which is told once it is served.
    let words = ["bit by bit", "other/svc is missing", "all filters are"];
    harness::until("all are made", async || {
        gw.log().iter().any(|line| line.contains(words[2]))
    })
    .await;
    let log = gw.log();
    let place = |words: &str| log.iter().position(|line| line.contains(words));
    let places = words.map(|words| place(words).expect("a line in the log"));
    assert!(places.is_sorted(), "{log:?}");
    assert_eq!(gw.get("other.test", "/").await.reason(), Some("no-service"));

    // New code: what worked before goes on until then.
    gw.write_bytes("slow.wasm", &slow("2", 30));
    until_all_say(&gw, "2", &["1", "2"]).await;
    assert_eq!(gw.problems().await.len(), 1, "of the missing Service");
}

/// The time on a CPU of the threads whose names begin so.
fn cpu(gw: &Gateway, thread: &str) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", gw.id())).expect("a process");
    let ticks = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks = fields.map(|ticks| ticks.parse::<u64>().expect("a number"));
        name.starts_with(thread).then(|| ticks.sum::<u64>())
    });
    // Linux counts a hundred a second, whatever the kernel does inside.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

#[tokio::test]
async fn instances_that_take_long_to_be_made_are_made_beside_the_worker() {
    let up = upstream().start().await;
    let slow = plugin("slow", &slow("1", 10)).with("isolation", json!("request"));
    let gw = beside(&up, web("slow", &[])).plugin(slow);
    let gw = gw.flag("--workers", "1").start().await;
    let client = async || {
        let mut connection = gw.connect().await;
        for _ in 0..40 {
            let answer = connection.ask(&get("/").host("a.test")).await;
            assert_eq!((answer.status, answer.reason()), (200, None));
            assert_eq!(answer.saw().header("x-version"), Some("1"));
        }
    };
    let began = Instant::now();
    tokio::join!(client(), client());
    // Of these 800 ms, and all else that it does: 100 ms at once, and then a fiftieth of the time.
    let most = Duration::from_millis(400) + began.elapsed() / 50;
    let (worker, aside) = (cpu(&gw, "worker-"), cpu(&gw, "wasm-aside-"));
    assert!(
        worker < most,
        "{worker:?} on the worker, {aside:?} beside it"
    );
    let log = gw.log();
    let told = log.iter().filter(|line| line.contains("run aside"));
    assert_eq!(told.count(), 1, "{log:?}");
}

#[tokio::test]
async fn few_instances_that_take_long_are_made_on_the_worker() {
    let up = upstream().start().await;
    let gw = beside(&up, web("slow", &[])).plugin(plugin("slow", &slow("1", 30)));
    let gw = gw.flag("--workers", "1").start().await;
    let mut connection = gw.connect().await;
    for _ in 0..100 {
        assert_eq!(connection.ask(&get("/").host("a.test")).await.status, 200);
    }
    assert_eq!(cpu(&gw, "wasm-aside-"), Duration::ZERO);
    assert!(gw.log().iter().all(|line| !line.contains("run aside")));
}

/// How many Ingresses have the slow filter.
const CROWD: usize = 40;
