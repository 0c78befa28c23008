//! The admin listener: what it tells, in which form.

use harness::{gateway, get, ingress, secret, self_signed, upstream};
use tokio::net::TcpStream;

#[tokio::test]
async fn routes_have_their_form() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up)
        .manifest(
            ingress("tls")
                .tls(&["tls.test"], "cert")
                .host("tls.test")
                .exact("/x", "svc", "http"),
        )
        .manifest(secret("cert", &self_signed(&["tls.test"])))
        .start()
        .await;
    let routes = gw.routes().await;
    assert_eq!(routes.len(), 2, "{routes:?}");
    let web = routes
        .iter()
        .find(|route| route["host"] == "a.test")
        .expect("the route");
    assert_eq!(
        (&web["path"], &web["pathType"]),
        (&"/".into(), &"Prefix".into())
    );
    assert_eq!(
        (&web["ingress"], &web["tls"]),
        (&"default/web".into(), &false.into())
    );
    assert_eq!(web["backend"]["service"], "svc");
    assert!(
        web["backend"]["port"] == 80 || web["backend"]["port"] == "80",
        "{web}"
    );
    assert!(
        web["filters"].as_array().is_some_and(Vec::is_empty),
        "{web}"
    );
    let endpoints = web["endpoints"].as_array().expect("endpoints");
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoints[0]["address"], up.address().to_string());
    assert_eq!(endpoints[0]["state"], "ready");
    let tls = routes
        .iter()
        .find(|route| route["host"] == "tls.test")
        .expect("the route");
    assert_eq!(
        (&tls["pathType"], &tls["tls"]),
        (&"Exact".into(), &true.into())
    );
}

#[tokio::test]
async fn problems_have_their_form() {
    let gw = gateway()
        .manifest(ingress("web").host("a.test").path("/", "nowhere", 80))
        .start()
        .await;
    let problem = gw.until_problem(&["nowhere"]).await;
    assert!(
        ["error", "warning", "note"].contains(&problem["severity"].as_str().expect("a severity")),
        "{problem}"
    );
    for (key, value) in [
        ("kind", "Ingress"),
        ("namespace", "default"),
        ("name", "web"),
    ] {
        assert_eq!(problem[key], value, "{problem}");
    }
    for key in ["field", "file", "message", "hint"] {
        assert!(
            problem[key].as_str().is_some_and(|text| !text.is_empty()),
            "{key}: {problem}"
        );
    }
    assert!(
        problem["line"].as_u64().is_some_and(|line| line > 0),
        "{problem}"
    );
    assert!(
        gw.log().iter().any(|line| line.contains("nowhere")),
        "the log says so too"
    );
}

#[tokio::test]
async fn metrics_count_requests() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for _ in 0..3 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
    }
    let answer = gw.admin_get("/metrics").await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.contains("# TYPE "), "{text}");
    let counted = text.lines().any(|line| {
        line.starts_with("portcullis_") && line.contains("2xx") && line.ends_with(" 3")
    });
    assert!(counted, "{text}");
    assert!(
        text.contains("le=\"+Inf\""),
        "a histogram ends with +Inf: {text}"
    );
}

#[tokio::test]
async fn hosts_of_requests_never_become_labels() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for number in 0..20 {
        assert_eq!(
            gw.get(
                &format!("attack-{number}.test"),
                &format!("/attack-{number}")
            )
            .await
            .status,
            404
        );
    }
    let text = gw.admin_get("/metrics").await.text();
    assert!(!text.contains("attack-"), "{text}");
}

#[tokio::test]
async fn probes_and_pages_answer() {
    let gw = gateway().start().await;
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/api/v1/routes",
        "/api/v1/problems",
        "/api/v1/plugins",
    ] {
        assert_eq!(gw.admin_get(path).await.status, 200, "{path}");
    }
    let page = gw.admin_get("/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html")),
        "{:?}",
        page.fields
    );
    for path in ["/metrics", "/api/v1/routes", "/api/v1/problems"] {
        assert!(page.text().contains(path), "{path}: {}", page.text());
    }
    assert_eq!(gw.admin_get("/nothing").await.status, 404);
    assert_eq!(
        gw.admin_get("/api/v1/plugins").await.json()["plugins"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    for wrong in ["/api/v1/explain", "/api/v1/explain?url=nonsense"] {
        assert_eq!(gw.admin_get(wrong).await.status, 400, "{wrong}");
    }
}

/// Probes decide whether the pod lives: nobody may keep them waiting.
#[tokio::test]
async fn probes_are_answered_whoever_fills_the_listener() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        let silent = TcpStream::connect(gw.admin()).await;
        held.push(silent.expect("a connection"));
    }
    // Less than the thirty seconds for which a silent connection may stay.
    let answer = harness::within("an answer", gw.admin_get("/livez")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn the_metrics_listener_serves_probes_and_metrics_only() {
    let gw = gateway().flag("--metrics", "127.0.0.1:0").start().await;
    let address = gw.listener("metrics").await;
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/api/v1/routes", 404),
        ("/", 404),
    ] {
        let mut connection = harness::Connection::open(address).await;
        assert_eq!(
            connection.ask(&get(path).host("x")).await.status,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn own_answers_name_nothing_and_the_access_log_names_all() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("access.log");
    let gw = gateway()
        .manifest(
            ingress("secret-name")
                .namespace("secret-space")
                .host("a.test")
                .path("/", "secret-service", 80),
        )
        .flag("--access-log", &file.display().to_string())
        .start()
        .await;
    let answer = gw.get("a.test", "/x?y").await;
    assert_eq!((answer.status, answer.reason()), (503, Some("no-service")));
    assert_eq!(
        answer.text().trim_end().lines().count(),
        1,
        "{:?}",
        answer.text()
    );
    for (name, value) in &answer.fields {
        assert!(!value.contains("secret"), "{name}: {value}");
    }
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    let mut line = serde_json::Value::Null;
    harness::until("the access log has a line", async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        line = text
            .lines()
            .next()
            .and_then(|line| serde_json::from_str(line).ok())
            .unwrap_or_default();
        line.is_object()
    })
    .await;
    let text = line.to_string();
    for word in [
        "no-service",
        "503",
        "secret-space/secret-name",
        "a.test",
        "/x",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}
