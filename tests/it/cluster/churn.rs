//! A large cluster whose objects change all the time.

use std::{sync::Arc, time::Duration};

use harness::{Crowd, gateway};

/// Kinds that are watched as a whole.
const KINDS: [&str; 6] = [
    "ingresses",
    "ingressclasses",
    "services",
    "endpointslices",
    "secrets",
    "plugins",
];

#[tokio::test]
async fn a_thousand_objects_that_change_lose_no_request_and_are_all_live() {
    let mut crowd = Crowd::of(1000).await;
    let gw = Arc::new(gateway().cluster(&crowd.api).start().await);
    crowd.is_served_by(&gw).await;
    let client = crowd.client(&gw);
    let changes = crowd.churn(100, Duration::from_secs(4)).await;
    crowd.is_served_by(&gw).await;
    let (asked, bad) = client.stop().await;
    assert!(
        changes >= 100 && asked >= 100,
        "{changes} changes, {asked} requests"
    );
    assert!(bad.is_empty(), "{asked} requests, of which {bad:?}");
    for kind in KINDS {
        assert_eq!(crowd.api.lists(kind), 1, "{kind} is listed once");
    }
}
