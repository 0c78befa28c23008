//! What becomes of counts: workers share them, changes keep them, and the access log tells of refusals.

use harness::{Gate, Reply, gateway, get, upstream};
use serde_json::Value;

use super::{filtered, passing, root, web};

#[tokio::test]
async fn workers_count_together() {
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{requests: 1, per: 1h, burst: 30}"))
        .flag("--workers", "2")
        .start()
        .await;
    let mut passed = 0;
    // Each on a connection of its own: one of so many comes to either worker.
    for _ in 0..60 {
        passed += usize::from(gw.send(&root()).await.status == 200);
    }
    assert_eq!(passed, 30);
}

#[tokio::test]
async fn counts_outlive_a_change_of_the_ingress() {
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{requests: 5, per: 1h}"))
        .start()
        .await;
    assert_eq!(passing(&gw, &root(), 3, 429).await, 3);

    // One more path, which is no request's way: what tells that the change is in place costs nothing.
    gw.apply(filtered("rate-limit", "{requests: 5, per: 1h}").exact("/x", "web", 80));
    harness::until("the Ingress has two routes", async || {
        gw.routes().await.len() == 2
    })
    .await;
    assert_eq!(passing(&gw, &root(), 9, 429).await, 2);
}

#[tokio::test]
async fn counts_outlive_a_change_of_the_configuration() {
    let up = upstream().start().await;
    let config = |status: u16| {
        filtered(
            "rate-limit",
            &format!("{{requests: 5, per: 1h, status: {status}}}"),
        )
    };
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(config(429))
        .start()
        .await;
    assert_eq!(passing(&gw, &root(), 9, 429).await, 5);
    gw.apply(config(420));
    gw.until_status("a.test", "/", 420).await;
    assert_eq!(passing(&gw, &root(), 9, 420).await, 0);
}

#[tokio::test]
async fn a_limit_that_is_taken_out_limits_no_more() {
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{requests: 1, per: 1h}"))
        .start()
        .await;
    assert_eq!(passing(&gw, &root(), 3, 429).await, 1);
    gw.apply(web());
    gw.until_status("a.test", "/", 200).await;
    assert_eq!(passing(&gw, &root(), 9, 429).await, 9);
}

#[tokio::test]
async fn the_access_log_says_who_was_refused_and_why() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("access.log");
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{requests: 1, per: 1h}"))
        .flag("--access-log", &file.display().to_string())
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/passed").await.status, 200);
    assert_eq!(gw.get("a.test", "/refused").await.status, 429);
    let line = |path: &str| {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut lines = text.lines();
        let line = lines.find(|line| line.contains(path))?;
        serde_json::from_str::<Value>(line).ok()
    };
    harness::until("the access log has both lines", async || {
        line("/passed").is_some() && line("/refused").is_some()
    })
    .await;
    let (passed, refused) = (line("/passed"), line("/refused"));
    let refused = refused.expect("a line").to_string();
    for word in ["\"rate-limit\"", "429", "default/web"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    let passed = passed.expect("a line");
    assert!(passed["reason"].is_null(), "{passed}");
}

#[tokio::test]
async fn http2_requests_count_as_others_do() {
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{requests: 3, per: 1h}"))
        .start()
        .await;
    let mut http2 = gw.http2().await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(http2.get("a.test", "/").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(gw.send(&get("/").host("a.test")).await.status, 429);
}

#[tokio::test]
async fn requests_at_the_same_time_on_two_workers_are_counted_exactly() {
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{requests: 20, per: 1h}"))
        .flag("--workers", "2")
        .start()
        .await;
    let mut connections = Vec::new();
    for _ in 0..50 {
        connections.push(gw.connect().await);
    }
    for connection in &mut connections {
        connection.send(root().bytes()).await;
    }
    let mut passed = 0;
    for connection in &mut connections {
        let answer = connection.answer("GET").await.expect("an answer");
        passed += usize::from(answer.status == 200);
    }
    assert_eq!((passed, up.seen().len()), (20, 20));
}

#[tokio::test]
async fn workers_share_permits() {
    let gate = Gate::closed();
    let holds = gate.clone();
    let up = upstream()
        .answer(move |_| Reply::echo().after(&holds))
        .start()
        .await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{connections: 8}"))
        .flag("--workers", "2")
        .start()
        .await;
    let mut running = Vec::new();
    for _ in 0..8 {
        let mut connection = gw.connect().await;
        connection.send(root().bytes()).await;
        running.push(connection);
    }
    harness::until("all are with the backend", async || up.seen().len() == 8).await;
    for _ in 0..16 {
        assert_eq!(gw.send(&root()).await.status, 429);
    }
    gate.open();
    for connection in &mut running {
        let answer = connection.answer("GET").await.expect("an answer");
        assert_eq!(answer.status, 200);
    }
}
