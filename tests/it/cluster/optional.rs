//! Kinds that the rest is of use without.

use harness::{Fault, gateway, until};

use super::*;

#[tokio::test]
async fn a_kind_that_cannot_be_listed_is_waited_for_only_a_while() {
    for (resource, fault, said) in [
        (
            "plugins",
            Fault::garbage("*", "plugins"),
            "its answer cannot be read",
        ),
        (
            "ingressclasses",
            Fault::status("*", "ingressclasses", 500),
            "it was told to fail",
        ),
    ] {
        let (api, _up) = routed().await;
        api.fault(fault.times(usize::MAX));
        let gw = gateway().cluster(&api).launch().await;
        let problem = gw
            .until_problem(&[resource, "cannot be listed and watched", said])
            .await;
        assert_eq!(problem["kind"], "Cluster");
        until("it is ready", async || {
            gw.admin_get("/readyz").await.status == 200
        })
        .await;
        assert_eq!(gw.get("a.test", "/").await.status, 200);
        let up = format!("portcullis_cluster_watch_up{{resource=\"{resource}.");
        let metrics = gw.admin_get("/metrics").await.text();
        let own = metrics.lines().find(|line| line.starts_with(&up));
        assert!(own.is_some_and(|line| line.ends_with(" 0")), "{own:?}");
        api.recover();
        until("the problem is gone", async || {
            gw.problems().await.is_empty()
        })
        .await;
    }
}
