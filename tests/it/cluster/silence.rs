//! An API server that says nothing: taken for gone after a while, and found again.

use std::{sync::Arc, time::Duration};

use harness::{Fault, GatewayBuilder, Streaming, gateway, ingress, until};

use super::{faults::Probe, status::addresses, *};

const HOUR: Duration = Duration::from_secs(3600);

/// A request that is never answered.
fn hang(verb: &str, resource: &str) -> Fault {
    Fault::hang(verb, resource, HOUR).times(usize::MAX)
}

fn hasty(api: &Api) -> GatewayBuilder {
    gateway().cluster(api).flag("--api-server-timeout", "2s")
}

async fn until_all_is_well(gw: &Gateway) {
    until("no problem is left", async || {
        gw.problems().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_list_that_is_not_answered_is_asked_for_again() {
    for (streaming, verb) in [(Streaming::Known, "watch"), (Streaming::Refused, "list")] {
        let (api, _up) = routed().await;
        api.streaming(streaming);
        api.fault(hang(verb, "services"));
        let gw = hasty(&api).launch().await;
        gw.until_problem(&["API server", "does not answer: no answer in 2s"])
            .await;
        assert_eq!(gw.admin_get("/readyz").await.status, 503);
        api.recover();
        until("it is ready", async || {
            gw.admin_get("/readyz").await.status == 200
        })
        .await;
        gw.until_status("a.test", "/", 200).await;
        until_all_is_well(&gw).await;
    }
}

#[tokio::test]
async fn a_watch_that_does_not_begin_leaves_what_is_served() {
    let (api, _up) = routed().await;
    let gw = Arc::new(hasty(&api).start().await);
    let probe = Probe::start(&gw);
    api.fault(hang("watch", "ingresses"));
    api.end_watches();
    gw.until_problem(&["API server", "no answer in 2s", "last good state"])
        .await;
    let up = "portcullis_cluster_watch_up{resource=\"ingresses.networking.k8s.io\"}";
    assert!(gw.metric(up).await < 1.0);
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    assert_eq!(gw.get("b.test", "/").await.status, 404);
    api.recover();
    gw.until_status("b.test", "/", 200).await;
    until_all_is_well(&gw).await;
    assert!(gw.metric(up).await > 0.0);
    probe.all_good().await;
}

#[tokio::test]
async fn a_write_that_is_not_answered_holds_nothing_up() {
    let (api, _up) = routed().await;
    let gw = hasty(&api).flag("--publish-address", "192.0.2.1");
    let gw = gw.start().await;
    until("it is written", async || !addresses(&api, "web").is_null()).await;
    api.fault(hang("patch", "ingresses"));
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    gw.until_problem(&["status of Ingresses", "no answer in 2s", "tried again"])
        .await;
    assert_eq!(gw.get("b.test", "/").await.status, 200);
    api.recover();
    until("it is written too", async || {
        !addresses(&api, "second").is_null()
    })
    .await;
    until_all_is_well(&gw).await;

    api.fault(hang("update", "leases"));
    gw.until_problem(&["Lease that elects who writes", "no answer"])
        .await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    api.recover();
    until_all_is_well(&gw).await;
}

#[tokio::test]
async fn connections_that_the_network_lost_are_found_out() {
    let (api, _up) = routed().await;
    let gw = gateway().cluster(&api).flag("--api-server-timeout", "6s");
    let gw = Arc::new(gw.start().await);
    let probe = Probe::start(&gw);
    let watches = || {
        let all = api.requests().into_iter();
        all.filter(|r| r.starts_with("watch ingresses")).count()
    };
    let before = watches();
    api.lose_connections();
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    // Bookmarks that do not come would tell after 80 s.
    gw.until_status("b.test", "/", 200).await;
    assert_eq!(watches(), before + 1);
    probe.all_good().await;
}
