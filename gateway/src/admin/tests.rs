//! What the admin listener answers, without its sockets.

use http_body_util::BodyExt;
use proxy::{AccessLog, Settings};

use super::*;

fn admin() -> Admin {
    let gateway = Gateway::new(Settings::default(), AccessLog::off(), || {}).unwrap();
    Admin::new(gateway, Arc::new(State::default()), None)
}

fn ask(admin: &Admin, scope: Scope, method: &Method, url: &str, host: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, host.parse().unwrap());
    admin.answer(scope, method, &url.parse().unwrap(), &headers)
}

fn get(admin: &Admin, url: &str) -> (StatusCode, String) {
    let answer = ask(admin, Scope::Local, &Method::GET, url, "127.0.0.1:9000");
    let status = answer.status();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let body = runtime
        .block_on(answer.into_body().collect())
        .unwrap()
        .to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn ready_only_while_serving() {
    let admin = admin();
    assert_eq!(get(&admin, "/livez").0, StatusCode::OK);
    assert_eq!(get(&admin, "/readyz").0, StatusCode::SERVICE_UNAVAILABLE);
    admin.state.enter(Phase::Serving);
    assert_eq!(get(&admin, "/readyz").0, StatusCode::OK);
    admin.state.enter(Phase::Draining);
    assert_eq!(get(&admin, "/readyz").0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&admin, "/livez").0, StatusCode::OK);
}

#[test]
fn the_shapes_are_those_promised() {
    let admin = admin();
    for (path, key) in [
        ("routes", "routes"),
        ("problems", "problems"),
        ("plugins", "plugins"),
    ] {
        let (status, body) = get(&admin, &format!("/api/v1/{path}"));
        assert_eq!(status, StatusCode::OK);
        let value: Value = serde_json::from_str(&body).unwrap();
        assert!(value.get(key).is_some_and(Value::is_array), "{body}");
    }
}

#[test]
fn metrics_hold_both_parts() {
    let (status, body) = get(&admin(), "/metrics");
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("portcullis_build_info{"), "{body}");
    let mut types: Vec<&str> = body
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all, "a family stands twice:\n{body}");
}

#[test]
fn an_explanation_needs_a_url() {
    let admin = admin();
    assert_eq!(get(&admin, "/api/v1/explain").0, StatusCode::BAD_REQUEST);
    assert_eq!(
        get(&admin, "/api/v1/explain?url=nowhere").0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        get(&admin, "/api/v1/explain?url=http://a/&header=broken").0,
        StatusCode::BAD_REQUEST
    );
    let (status, body) = get(
        &admin,
        "/api/v1/explain?url=http%3A%2F%2Fa.example%2F&method=POST&header=x:y",
    );
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(
        serde_json::from_str::<Value>(&body).unwrap().is_object(),
        "{body}"
    );
    let (status, body) = get(
        &admin,
        "/api/v1/explain?format=text&url=http%3A%2F%2Fa.example%2F",
    );
    assert!(status == StatusCode::OK && !body.starts_with('{'), "{body}");
}

#[test]
fn the_index_links_what_there_is() {
    let admin = admin();
    let (status, body) = get(&admin, "/");
    assert_eq!(status, StatusCode::OK);
    for link in body
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert_ne!(get(&admin, link).0, StatusCode::NOT_FOUND, "{link}");
    }
    assert_eq!(get(&admin, "/nothing").0, StatusCode::NOT_FOUND);
}

#[test]
fn only_reading_is_answered() {
    let admin = admin();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = ask(&admin, Scope::Local, &method, "/readyz", "localhost:9000");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers().get(header::ALLOW).unwrap(), "GET, HEAD");
    }
}

#[test]
fn the_metrics_listener_shows_probes_and_metrics_only() {
    let admin = admin();
    let status = |url: &str| {
        ask(
            &admin,
            Scope::Probes,
            &Method::GET,
            url,
            "gateway.example:9100",
        )
        .status()
    };
    assert_eq!(status("/metrics"), StatusCode::OK);
    assert_eq!(status("/livez"), StatusCode::OK);
    for url in [
        "/",
        "/api/v1/routes",
        "/api/v1/problems",
        "/api/v1/explain?url=http://a/",
    ] {
        assert_eq!(status(url), StatusCode::NOT_FOUND, "{url}");
    }
}

#[test]
fn a_name_of_anyones_is_refused_on_loopback() {
    let admin = admin();
    let status =
        |scope, host: &str| ask(&admin, scope, &Method::GET, "/api/v1/routes", host).status();
    for host in [
        "127.0.0.1:9000",
        "[::1]:9000",
        "localhost",
        "LOCALHOST:9000",
        "portcullis.localhost",
    ] {
        assert_eq!(status(Scope::Local, host), StatusCode::OK, "{host}");
    }
    for host in [
        "rebound.example:9000",
        "localhost.example",
        "127.0.0.1.nip.io",
    ] {
        assert_eq!(status(Scope::Local, host), StatusCode::FORBIDDEN, "{host}");
        assert_eq!(status(Scope::Everything, host), StatusCode::OK, "{host}");
    }
}
