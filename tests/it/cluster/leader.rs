//! Who writes, of several.

use std::time::Duration;

use harness::{Fault, Object, gateway, until, within_time};
use serde_json::{Value, json};

use super::*;

const LEASE: &str = "portcullis-portcullis";
const WAITING: &str = "portcullis.dev/waiting";
/// A lease lasts 15 s, and machines may be busy.
const LONG: Duration = Duration::from_secs(90);

fn holder(api: &Api) -> String {
    let lease = api.find("leases", "ingress", LEASE);
    let holder = lease.map(|lease| lease["spec"]["holderIdentity"].clone());
    holder
        .as_ref()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A Lease that another one holds, renewed at this time by its own clock.
fn held(by: &str, time: &str) -> Object {
    Object(json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE, "namespace": "ingress"},
        "spec": {"holderIdentity": by, "leaseDurationSeconds": 1, "renewTime": time, "leaseTransitions": 7},
    }))
}

fn says(gw: &Gateway, word: &str) -> usize {
    gw.log().iter().filter(|line| line.contains(word)).count()
}

async fn until_long(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            harness::pause(Duration::from_millis(50)).await;
        }
    };
    within_time(LONG, what, waiting).await;
}

#[tokio::test]
async fn of_several_one_leads() {
    let (api, _up, first) = serving().await;
    let mut all = vec![first];
    for _ in 0..2 {
        all.push(gateway().cluster(&api).start().await);
    }
    let asked = || {
        api.requests()
            .iter()
            .filter(|r| r.starts_with("get leases"))
            .count()
    };
    until("all have asked", async || asked() > 6).await;
    let leading = all.iter().filter(|gw| says(gw, "\"leading\"") > 0).count();
    assert_eq!(leading, 1);
    assert!(!holder(&api).is_empty());
}

/// Each writes for its own, and of those with the same namespaces one.
#[tokio::test]
async fn gateways_of_other_namespaces_have_leases_of_their_own() {
    let api = api().await;
    let mut all = Vec::new();
    for (number, namespaces) in ["xx", "yy,zz", "zz,yy"].into_iter().enumerate() {
        for namespace in namespaces.split(',') {
            let web = ingress("web").namespace(namespace);
            api.apply(web.host(&format!("{namespace}.test")).path("/", "svc", 80));
        }
        let gw = gateway()
            .cluster(&api)
            .flag("--watch-namespace", namespaces)
            .flag("--publish-address", "192.0.2.1");
        all.push(gw.start().await);
        let leads = all.len() < 3;
        if leads {
            let gw = &all[number];
            until("it leads", async || says(gw, "\"leading\"") == 1).await;
        }
    }
    for namespace in ["xx", "yy", "zz"] {
        until("its addresses are written", async || {
            let object = api.find("ingresses", namespace, "web");
            object.is_some_and(|o| o["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.1")
        })
        .await;
    }
    let leases = || -> Vec<Value> { api.all("leases") };
    until("the third one waits for the second", async || {
        let waits = |lease: &Value| lease["metadata"]["annotations"][WAITING].is_string();
        leases().iter().any(waits)
    })
    .await;
    assert_eq!(leases().len(), 2, "{:?}", leases());
    for lease in leases() {
        let name = lease["metadata"]["name"].as_str().expect("a name");
        assert!(name.starts_with("portcullis-portcullis-"), "{name}");
    }
    assert_eq!(says(&all[2], "\"leading\""), 0);
}

#[tokio::test]
async fn the_clock_of_another_holder_does_not_count() {
    let api = api().await;
    // By its clock it ran out long ago, yet it is renewed.
    api.apply(held("other", "1990-01-01T00:00:00.000000Z"));
    let gw = gateway().cluster(&api).start().await;
    let asked = || {
        api.requests()
            .iter()
            .filter(|r| r.starts_with("get leases"))
            .count()
    };
    for round in 0..3 {
        let before = asked();
        until("it looks", async || asked() > before).await;
        api.apply(held("other", &format!("1990-01-01T00:00:0{round}.000000Z")));
        assert_eq!(holder(&api), "other");
    }
    assert_eq!(says(&gw, "\"leading\""), 0);
    // By its clock it lasts for ever, yet it is not renewed any longer.
    api.apply(held("other", "2990-01-01T00:00:00.000000Z"));
    until_long("it leads", || says(&gw, "\"leading\"") == 1).await;
    assert_ne!(holder(&api), "other");
    let lease = api.find("leases", "ingress", LEASE).expect("a Lease");
    assert_eq!(lease["spec"]["leaseTransitions"], 8);
}

#[tokio::test]
async fn a_lease_that_is_stolen_is_given_up_and_won_back() {
    let (api, _up, gw) = serving().await;
    until("it leads", async || says(&gw, "\"leading\"") == 1).await;
    api.apply(held("thief", "2026-01-01T00:00:00.000000Z"));
    until("it follows", async || says(&gw, "taken by another") == 1).await;
    assert_eq!(holder(&api), "thief");
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    until_long("it leads again", || says(&gw, "\"leading\"") == 2).await;
}

#[tokio::test]
async fn who_leads_alone_waits_for_nobody_at_its_end() {
    let (api, _up, mut gw) = serving().await;
    until("it leads", async || says(&gw, "\"leading\"") == 1).await;
    gw.signal("TERM");
    assert_eq!(gw.exited().await, Some(0));
    assert_eq!(holder(&api), "");
    let asked = api.requests();
    let given_up = asked.iter().rposition(|r| r.starts_with("update leases"));
    let after = asked.get(given_up.expect("a Lease that is given up") + 1..);
    let leases = after.into_iter().flatten().find(|r| r.contains(" leases "));
    assert_eq!(leases, None, "no look for a successor: {asked:?}");
}

#[tokio::test]
async fn a_server_that_hangs_holds_the_end_up_for_seconds_only() {
    let (api, _up, mut gw) = serving().await;
    until("it leads", async || says(&gw, "\"leading\"") == 1).await;
    let hang = Fault::hang("*", "leases", Duration::from_secs(3600));
    api.fault(hang.times(usize::MAX));
    gw.signal("TERM");
    assert_eq!(gw.exited().await, Some(0));
}
