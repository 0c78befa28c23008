//! The `limit-*` keys of ingress-nginx: one row of their table after the other.

use std::time::{Duration, Instant};

use harness::{Gateway, Upstream, gateway, get, ingress, pause, upstream};

use super::{ask, by, is_refusal, keyed, nginx, passing, retry_after, root};

async fn limited(keys: &[(&str, &str)]) -> (Gateway, Upstream) {
    let up = upstream().name("web").start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(nginx(keys))
        .flag("--trusted-proxies", "127.0.0.1")
        .start()
        .await;
    (gw, up)
}

#[tokio::test]
async fn from_idle_one_more_than_five_times_the_rate_passes() {
    for (keys, wanted) in [
        (&[("limit-rpm", "1")][..], 6),
        (&[("limit-rpm", "2")], 11),
        (&[("limit-rpm", "2"), ("limit-burst-multiplier", "3")], 7),
        (&[("limit-rpm", "1"), ("limit-burst-multiplier", "0")], 1),
    ] {
        let (gw, _up) = limited(keys).await;
        // A token a minute comes back, so that one more may pass on a machine that stands still.
        let begun = Instant::now();
        let passed = passing(&gw, &root(), 15, 503).await;
        let late = usize::from(begun.elapsed() > Duration::from_secs(25));
        assert!(
            (wanted..=wanted + late).contains(&passed),
            "{keys:?}: {passed}"
        );
    }
}

#[tokio::test]
async fn a_rate_of_one_a_second_lets_six_pass_and_then_one_a_second() {
    let (gw, _up) = limited(&[("limit-rps", "1")]).await;
    let mut connection = gw.connect().await;
    let begun = Instant::now();
    let mut passed = 0;
    let refusal = loop {
        let answer = connection.ask(&root()).await;
        match answer.status {
            200 => passed += 1,
            _ => break answer,
        }
    };
    assert!(is_refusal(&refusal, 503), "{refusal:?}");
    assert!(passed >= 6, "{passed}");
    assert_eq!(retry_after(&refusal), 1);
    pause(Duration::from_secs(1)).await;
    assert_eq!(connection.ask(&root()).await.status, 200);
    passed += 1;
    for _ in 0..5 {
        passed += u64::from(connection.ask(&root()).await.status == 200);
    }
    assert!(passed <= 6 + begun.elapsed().as_secs(), "{passed}");
}

#[tokio::test]
async fn both_rates_must_pass_and_only_then_are_charged() {
    // Two at once and one a second; four at once and three a minute.
    let keys = [
        ("limit-rps", "1"),
        ("limit-rpm", "3"),
        ("limit-burst-multiplier", "1"),
    ];
    let (gw, _up) = limited(&keys).await;
    let begun = Instant::now();
    let (mut passed, mut refused) = (0, 0);
    harness::until("the minute's limit refuses", async || {
        let answer = gw.send(&root()).await;
        if answer.status == 200 {
            passed += 1;
            return false;
        }
        assert!(is_refusal(&answer, 503), "{answer:?}");
        refused += 1;
        retry_after(&answer) > 1
    })
    .await;
    let more = begun.elapsed().as_secs() / 20;
    assert!((4..=4 + more).contains(&passed), "{passed}");
    assert!(refused > 1, "the second's limit has refused some");
}

#[tokio::test]
async fn the_zone_is_the_ingress_with_all_its_hosts_and_paths() {
    let up = upstream().start().await;
    let keys = [("limit-rpm", "1"), ("limit-burst-multiplier", "2")];
    let two = nginx(&keys)
        .path("/x", "web", 80)
        .host("b.test")
        .path("/", "web", 80);
    let other = keyed(ingress("other").host("c.test").path("/", "web", 80), &keys);
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(two)
        .manifest(other)
        .start()
        .await;
    let begun = Instant::now();
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    assert_eq!(gw.get("a.test", "/x").await.status, 200);
    assert_eq!(gw.get("b.test", "/").await.status, 200);
    let refused = gw.get("a.test", "/").await;
    if begun.elapsed() < Duration::from_secs(50) {
        assert!(is_refusal(&refused, 503), "{refused:?}");
    }
    assert_eq!(gw.get("c.test", "/").await.status, 200, "a zone of its own");
}

#[tokio::test]
async fn the_key_is_the_whole_address_of_the_real_client() {
    let (gw, _up) = limited(&[("limit-rpm", "1"), ("limit-burst-multiplier", "1")]).await;
    let mut passed = Vec::new();
    for client in [
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8::1",
    ] {
        passed.push(passing(&gw, &by(client), 3, 503).await);
    }
    assert_eq!(passed, [2, 2, 2, 2, 0]);
}

#[tokio::test]
async fn clients_of_either_list_are_not_limited() {
    for key in ["limit-whitelist", "limit-allowlist"] {
        let keys = [
            ("limit-rpm", "1"),
            ("limit-connections", "1"),
            ("limit-burst-multiplier", "0"),
            (key, "10.0.0.0/8, 2001:db8::/32"),
        ];
        let (gw, _up) = limited(&keys).await;
        for client in ["10.9.8.7", "2001:db8::7"] {
            assert_eq!(passing(&gw, &by(client), 4, 503).await, 4, "{key} {client}");
        }
        assert_eq!(passing(&gw, &by("192.0.2.1"), 4, 503).await, 1, "{key}");
    }
}

#[tokio::test]
async fn a_refusal_is_503_with_the_fields_of_ours() {
    let keys = [("limit-rpm", "1"), ("limit-burst-multiplier", "0")];
    let (gw, _up) = limited(&keys).await;
    let answers = ask(&gw, &root(), 2).await;
    assert!(is_refusal(&answers[1], 503), "{answers:?}");
    assert!((1..=60).contains(&retry_after(&answers[1])), "{answers:?}");
    let policy = answers[1].header("ratelimit-policy");
    assert_eq!(policy, Some("\"default\";q=1;w=60"));
}

#[tokio::test]
async fn bandwidth_is_not_limited_and_that_is_said() {
    let keys = [("limit-rate", "1"), ("limit-rate-after", "1")];
    let (gw, _up) = limited(&keys).await;
    for (key, _) in keys {
        let name = format!("metadata.annotations[nginx.ingress.kubernetes.io/{key}]");
        let problem = gw.until_problem(&[&name]).await;
        assert_eq!(problem["severity"], "warning");
    }
    assert_eq!(passing(&gw, &root(), 9, 503).await, 9);
}

#[tokio::test]
async fn a_wrong_value_counts_as_absent() {
    let keys = [
        ("limit-rps", "many"),
        ("limit-rpm", "1"),
        ("limit-burst-multiplier", "x"),
    ];
    let (gw, _up) = limited(&keys).await;
    let begun = Instant::now();
    for key in ["limit-rps", "limit-burst-multiplier"] {
        gw.until_problem(&["warning", key]).await;
    }
    let passed = passing(&gw, &root(), 9, 503).await;
    let late = usize::from(begun.elapsed() > Duration::from_secs(50));
    assert!((6..=6 + late).contains(&passed), "{passed}");
}

#[tokio::test]
async fn zero_is_no_limit() {
    let keys = [
        ("limit-rps", "0"),
        ("limit-rpm", "0"),
        ("limit-connections", "0"),
    ];
    let (gw, _up) = limited(&keys).await;
    assert_eq!(passing(&gw, &root(), 9, 503).await, 9);
}

#[tokio::test]
async fn a_named_rate_limit_counts_instead_with_a_note() {
    let up = upstream().start().await;
    let both = keyed(
        super::filtered("rate-limit", "{requests: 2, per: 1h}"),
        &[("limit-rpm", "1"), ("limit-burst-multiplier", "0")],
    );
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(both)
        .start()
        .await;
    let problem = gw.until_problem(&["limit-rpm", "rate-limit"]).await;
    assert_eq!(problem["severity"], "note");
    let request = get("/").host("a.test");
    assert_eq!(passing(&gw, &request, 5, 429).await, 2);
}

#[tokio::test]
async fn a_limit_beyond_all_bounds_limits_nobody_and_closes_no_route() {
    let keys = [
        ("limit-rps", "999999999"),
        ("limit-connections", "999999999"),
    ];
    let (gw, _up) = limited(&keys).await;
    assert_eq!(passing(&gw, &root(), 9, 503).await, 9);
}
