//! Plugins whose `new` takes long, though not too long: others do not wait for it.

use harness::{Gateway, get, ingress, plugin, upstream};

use super::{
    beside,
    parts::{Kit, stamp},
    web,
};
use crate::guests::{Guest, NEXT};

/// Says its version, and takes some ten milliseconds for each configuration.
fn slow(version: &str) -> Vec<u8> {
    let mut kit = Kit::default();
    let set = kit.change(("request", "set"), "x-version", version);
    kit.build(Guest {
        configure: SPIN.to_owned(),
        ..Guest::on_request(&(set + NEXT))
    })
}

/// One file with an Ingress for each of the hosts.
fn crowd() -> String {
    let object = |number| {
        let object = ingress(&format!("slow{number}"))
            .host(&host(number))
            .path("/", "svc", 80)
            .annotation("portcullis.dev/filters", "slow");
        object.object().0.to_string()
    };
    let objects: Vec<String> = (0..CROWD).map(object).collect();
    objects.join("\n---\n")
}

fn host(number: usize) -> String {
    format!("slow{number}.test")
}

/// Adds a route of another namespace, with a filter of its own, and waits until it is served.
async fn until_another_is_served(gw: &Gateway, name: &str) {
    let host = format!("{name}.test");
    let object = ingress(name).namespace("other").host(&host);
    let object = object.path("/", "none", 80);
    gw.apply(object.annotation("portcullis.dev/filters", "stamp"));
    harness::until("the route of another namespace is there", async || {
        gw.get(&host, "/").await.reason() == Some("no-service")
    })
    .await;
}

/// What each host of the crowd answers: the version that its filter says, or why it has none.
async fn crowd_says(gw: &Gateway) -> Vec<String> {
    let mut connection = gw.connect().await;
    let mut said = Vec::new();
    for number in 0..CROWD {
        let answer = connection.ask(&get("/").host(&host(number))).await;
        said.push(match answer.status {
            200 => answer.saw().header("x-version").unwrap_or("-").to_owned(),
            status => answer.reason().map_or(status.to_string(), str::to_owned),
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
        .plugin(plugin("slow", &slow("1")))
        .plugin(plugin("stamp", &stamp("1")).namespace("other"))
        .start()
        .await;

    // New routes: those whose turn has not come are closed, and all come in the end.
    gw.write("crowd.yaml", &crowd());
    harness::until("they are there", async || {
        gw.get(&host(0), "/").await.status != 404
    })
    .await;
    until_another_is_served(&gw, "one").await;
    let said = crowd_says(&gw).await;
    assert!(said.iter().any(|said| said == "plugin-load"), "{said:?}");
    until_all_say(&gw, "1", &["1", "plugin-load"]).await;

    // New code: what worked before goes on until then.
    gw.write_bytes("slow.wasm", &slow("2"));
    until_all_say(&gw, "2", &["1", "2"]).await;
    assert_eq!(gw.problems().await.len(), 1, "of the missing Service");
}

/// How many Ingresses have the slow filter.
const CROWD: usize = 40;
/// Some 30 ms of the 100 ms that it may take.
const SPIN: &str = "
    (local.set $length (i32.const 100000000))
    (loop (br_if 0 (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))
    i32.const 16";
