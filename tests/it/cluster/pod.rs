//! The gateway as a pod has it: the ServiceAccount's files, and TLS with the cluster's own CA.

use std::{io::Write, time::Duration};

use harness::{Authority, pods, tls_api, within_time};

use super::*;

/// Tokens are read again each minute, and requests that failed are sent again after half of one.
const ROTATED: Duration = Duration::from_secs(150);

#[tokio::test]
async fn a_pod_uses_its_service_account_and_the_token_that_is_there_now() {
    let (authority, up) = (Authority::create(), upstream().start().await);
    let api = tls_api(&authority).await;
    api.service("svc", 80, &[&up]);
    api.apply(ingress("web").host("a.test").path("/", "svc", 80));
    let gw = match pods() {
        Ok(()) => gateway().in_pod(&api).start().await,
        Err(why) => {
            // Not through `eprintln!`, which is only shown where a test fails.
            let _unseen = writeln!(
                std::io::stderr(),
                "\nNOT TESTED: the ServiceAccount of a pod at its own place, as this machine gives no \
                 user and mount namespaces ({}); a kubeconfig names the same files instead\n",
                why.trim()
            );
            gateway().cluster(&api).start().await
        }
    };
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    harness::until("the Lease is in the pod's namespace", async || {
        let lease = api.find("leases", "ingress", "portcullis-portcullis");
        lease.is_some()
    })
    .await;
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);

    // The old one is no longer good, and what is served stays.
    api.rotate("second");
    api.end_watches();
    gw.until_problem(&["401", "last good state"]).await;
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    let found = async {
        while gw.get("b.test", "/").await.status != 200 {
            harness::pause(Duration::from_millis(100)).await;
        }
    };
    within_time(ROTATED, "the second token is used", found).await;
    harness::until("no problem is left", async || {
        gw.problems().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_server_with_the_certificate_of_another_ca_is_not_believed() {
    let (own, other) = (Authority::create(), Authority::create());
    let api = tls_api(&own).await;
    api.trust(&other);
    let gw = gateway().cluster(&api).launch().await;
    gw.until_problem(&["API server", "certificate"]).await;
    assert_eq!(gw.admin_get("/readyz").await.status, 503);
    assert!(api.requests().is_empty());
}
