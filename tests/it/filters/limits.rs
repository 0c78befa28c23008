//! `rate-limit` by its own configuration: how many pass, whose requests count together, and when more do.

use std::time::{Duration, Instant};

use harness::{Gateway, gateway, get, ingress, pause, upstream};

use super::{ask, by, filtered, is_refusal, passing, retry_after, root, web};

/// A gateway with this configuration, which believes us whose requests we bring.
async fn limited(config: &str) -> (Gateway, harness::Upstream) {
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", config))
        .flag("--trusted-proxies", "127.0.0.1")
        .start()
        .await;
    (gw, up)
}

#[tokio::test]
async fn from_idle_exactly_the_burst_passes() {
    let (gw, up) = limited("{requests: 2, per: 1h, burst: 7}").await;
    assert_eq!(passing(&gw, &root(), 20, 429).await, 7);
    assert_eq!(up.seen().len(), 7, "what is refused reaches no backend");
    let (gw, _up) = limited("{requests: 3, per: 1h}").await;
    assert_eq!(passing(&gw, &root(), 9, 429).await, 3, "the default burst");
}

#[tokio::test]
async fn the_filter_is_called_for_those_over_the_limit_where_clients_alone_count() {
    for (rest, calls) in [
        ("", (3.0, 7.0)),
        (", exempt: [192.0.2.1]", (10.0, 0.0)),
        (", key: 'header:x-other'", (10.0, 0.0)),
        (", scope: route", (10.0, 0.0)),
        (", connections: 9", (10.0, 0.0)),
    ] {
        let config = format!("{{requests: 1, per: 1h, burst: 7{rest}}}");
        let (gw, _up) = limited(&config).await;
        assert_eq!(passing(&gw, &root(), 10, 429).await, 7, "{config}");
        assert_eq!(
            gw.filter_calls("web", "rate-limit").await,
            calls,
            "{config}"
        );
    }
}

#[tokio::test]
async fn a_refusal_says_by_what_and_when_to_come_back() {
    let (gw, _up) = limited("{requests: 1, per: 1m, burst: 2}").await;
    let answers = ask(&gw, &root(), 3).await;
    let refusal = &answers[2];
    assert!(is_refusal(refusal, 429), "{refusal:?}");
    assert!((1..=60).contains(&retry_after(refusal)), "{refusal:?}");
    assert_eq!(
        refusal.header("ratelimit-policy"),
        Some("\"default\";q=1;w=60")
    );
    let told = refusal.header("ratelimit").expect("a limit");
    assert_eq!(told, format!("\"default\";r=0;t={}", retry_after(refusal)));
    assert_eq!(refusal.text().lines().count(), 1);
}

#[tokio::test]
async fn after_the_time_that_a_refusal_names_one_more_passes() {
    let (gw, _up) = limited("{requests: 1, per: 1s}").await;
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
    pause(Duration::from_secs(retry_after(&refusal))).await;
    assert_eq!(connection.ask(&root()).await.status, 200);
    passed += 1;
    for _ in 0..5 {
        passed += u64::from(connection.ask(&root()).await.status == 200);
    }
    // More than one only as a busy machine lets more time pass.
    assert!(passed <= 1 + begun.elapsed().as_secs(), "{passed}");
}

#[tokio::test]
async fn of_several_limits_all_must_pass_and_only_then_are_charged() {
    let limits = "{limits: [{requests: 1, per: 1s}, {requests: 1, per: 1h, burst: 3}]}";
    let (gw, _up) = limited(limits).await;
    let (mut passed, mut refused) = (0, 0);
    harness::until("the hour's limit refuses", async || {
        let answer = gw.send(&root()).await;
        if answer.status == 200 {
            passed += 1;
            return false;
        }
        assert!(is_refusal(&answer, 429), "{answer:?}");
        let policy = "\"limit-1\";q=1;w=1, \"limit-2\";q=1;w=3600";
        assert_eq!(answer.header("ratelimit-policy"), Some(policy));
        let told = answer.header("ratelimit").expect("a limit");
        let by_hour = told.starts_with("\"limit-2\"");
        assert!(by_hour || told.starts_with("\"limit-1\""), "{told}");
        refused += usize::from(!by_hour);
        by_hour
    })
    .await;
    assert_eq!(passed, 3, "what the second refused cost the hour nothing");
    assert!(refused > 0);
}

#[tokio::test]
async fn clients_count_apart_and_an_ipv6_client_by_its_64() {
    let (gw, _up) = limited("{requests: 2, per: 1h, key: client-ip}").await;
    let mut passed = Vec::new();
    for client in [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.1",
        "::ffff:192.0.2.2",
        "2001:db8::1",
        "2001:db8::ffff:2",
        "2001:db8:0:1::1",
    ] {
        passed.push(passing(&gw, &by(client), 3, 429).await);
    }
    assert_eq!(passed, [2, 2, 0, 0, 2, 0, 2]);
}

#[tokio::test]
async fn who_is_not_trusted_cannot_be_another_client() {
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{requests: 2, per: 1h}"))
        .start()
        .await;
    assert_eq!(passing(&gw, &by("192.0.2.1"), 2, 429).await, 2);
    assert_eq!(passing(&gw, &by("192.0.2.2"), 2, 429).await, 0);
}

#[tokio::test]
async fn a_header_is_the_key_and_without_it_the_address() {
    let (gw, _up) = limited("{requests: 2, per: 1h, key: 'header:X-Api-Key'}").await;
    let with = |key: &str| root().header("X-API-KEY", key);
    assert_eq!(passing(&gw, &with("one"), 3, 429).await, 2);
    assert_eq!(passing(&gw, &with("two"), 3, 429).await, 2);
    assert_eq!(passing(&gw, &with("127.0.0.1"), 3, 429).await, 2);
    assert_eq!(passing(&gw, &root(), 3, 429).await, 2, "by the address");
    assert_eq!(passing(&gw, &by("192.0.2.1"), 3, 429).await, 2);
    assert_eq!(passing(&gw, &with("one"), 3, 429).await, 0);
}

#[tokio::test]
async fn a_cookie_is_the_key_and_without_it_the_address() {
    let (gw, _up) = limited("{requests: 2, per: 1h, key: 'cookie:user'}").await;
    let with = |cookie: &str| root().header("Cookie", cookie);
    assert_eq!(passing(&gw, &with("a=b; user=one"), 3, 429).await, 2);
    assert_eq!(passing(&gw, &with("user=two; a=b"), 3, 429).await, 2);
    assert_eq!(passing(&gw, &with("user=one"), 3, 429).await, 0);
    assert_eq!(passing(&gw, &with("a=one"), 3, 429).await, 2);
    assert_eq!(passing(&gw, &root(), 3, 429).await, 0, "the same address");
}

#[tokio::test]
async fn exempt_clients_are_neither_refused_nor_counted() {
    let exempt = "{requests: 1, per: 1h, exempt: [10.0.0.0/8, '2001:db8::/32', 192.0.2.9]}";
    let (gw, _up) = limited(exempt).await;
    for client in ["10.1.2.3", "2001:db8:1::1", "192.0.2.9", "::ffff:10.0.0.1"] {
        assert_eq!(passing(&gw, &by(client), 4, 429).await, 4, "{client}");
    }
    for client in ["11.0.0.1", "2001:db9::1", "192.0.2.8"] {
        assert_eq!(passing(&gw, &by(client), 4, 429).await, 1, "{client}");
    }
}

#[tokio::test]
async fn routes_of_an_ingress_count_together_unless_the_scope_is_the_route() {
    let up = upstream().start().await;
    let ingress = |scope: &str| {
        let config = format!("{{requests: 1, per: 1h, scope: {scope}}}");
        filtered("rate-limit", &config)
            .path("/x", "web", 80)
            .host("b.test")
            .path("/", "web", 80)
    };
    for (scope, wanted) in [("ingress", [1, 0, 0, 0]), ("route", [1, 1, 1, 0])] {
        let gw = gateway()
            .service("web", 80, &[&up])
            .manifest(ingress(scope))
            .start()
            .await;
        let mut passed = Vec::new();
        for (host, path) in [
            ("a.test", "/"),
            ("a.test", "/x"),
            ("b.test", "/"),
            ("a.test", "/y"),
        ] {
            passed.push(passing(&gw, &get(path).host(host), 2, 429).await);
        }
        assert_eq!(passed, wanted, "{scope}");
    }
}

#[tokio::test]
async fn each_ingress_and_each_alias_counts_by_itself() {
    let up = upstream().start().await;
    let other = ingress("other")
        .host("b.test")
        .path("/", "web", 80)
        .annotation("portcullis.dev/filters", "rate-limit")
        .annotation("portcullis.dev/filter.rate-limit", "{requests: 3, per: 1h}");
    let twice = web()
        .annotation("portcullis.dev/filters", "ip=rate-limit, key=rate-limit")
        .annotation("portcullis.dev/filter.ip", "{requests: 3, per: 1h}")
        .annotation(
            "portcullis.dev/filter.key",
            "{requests: 2, per: 1h, key: 'header:K', status: 420}",
        );
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(twice)
        .manifest(other)
        .start()
        .await;
    let one = root().header("K", "1");
    assert_eq!(passing(&gw, &one, 3, 420).await, 2, "by the key");
    assert_eq!(
        passing(&gw, &root().header("K", "2"), 1, 429).await,
        0,
        "by the address"
    );
    assert_eq!(passing(&gw, &get("/").host("b.test"), 5, 429).await, 3);
}

#[tokio::test]
async fn the_status_of_refusals_can_be_another() {
    let (gw, _up) = limited("{requests: 1, per: 1h, status: 503}").await;
    assert_eq!(passing(&gw, &root(), 3, 503).await, 1);
}
