//! `portcullis explain`: who takes a request, and why the others lost.

use harness::{Outcome, gateway, ingress, portcullis, upstream};
use serde_json::Value;
use tempfile::TempDir;

fn folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let objects = [
        ingress("web")
            .host("a.test")
            .path("/", "svc", 80)
            .path("/api", "api", 80)
            .exact("/api", "svc", 80)
            .object(),
        ingress("wild").host("*.test").path("/", "svc", 80).object(),
        ingress("lost")
            .host("lost.test")
            .path("/", "nowhere", 80)
            .object(),
        harness::service("svc", &[("http", 80)]),
        harness::service("api", &[("http", 80)]),
        harness::slice(
            "svc",
            "1",
            ("http", 8080),
            &[harness::endpoint(
                std::net::SocketAddr::from(([10, 1, 2, 3], 8080)),
                &serde_json::json!({}),
            )],
        ),
    ];
    for object in objects {
        std::fs::write(folder.path().join(object.file()), object.0.to_string())
            .expect("a writable folder");
    }
    folder
}

async fn explain(folder: &TempDir, arguments: &[&str]) -> Outcome {
    let path = folder.path().display().to_string();
    let mut all = vec!["explain", "--manifests", &path];
    all.extend(arguments);
    let outcome = portcullis(&all).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome
}

#[tokio::test]
async fn the_winner_and_the_losers_are_named() {
    let folder = folder();
    let told = explain(&folder, &["http://a.test/api"]).await.stdout;
    for word in [
        "default/web",
        "Exact",
        "/api",
        "svc",
        "10.1.2.3:8080",
        "Prefix",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let told = explain(&folder, &["http://b.test/x"]).await.stdout;
    assert!(
        told.contains("default/wild") && told.contains("*.test"),
        "{told}"
    );
}

#[tokio::test]
async fn refusals_are_answers_too() {
    let folder = folder();
    for (url, words) in [
        ("http://unknown.org/", ["404", "no-route"]),
        ("http://a.test/api/x", ["503", "no-endpoints"]),
        ("http://lost.test/", ["503", "no-service"]),
        ("http://a.test/%00", ["400", "bad-request"]),
    ] {
        let told = explain(&folder, &[url]).await.stdout;
        assert!(
            words.iter().all(|word| told.contains(word)),
            "{words:?}: {told}"
        );
    }
}

#[tokio::test]
async fn json_says_the_same() {
    let folder = folder();
    let told = explain(
        &folder,
        &[
            "--format",
            "json",
            "-X",
            "POST",
            "-H",
            "X-Test: 1",
            "http://a.test/api",
        ],
    )
    .await;
    let json: Value =
        serde_json::from_str(&told.stdout).unwrap_or_else(|e| panic!("{e}: {}", told.stdout));
    let text = json.to_string();
    for word in ["default/web", "/api", "svc", "10.1.2.3:8080"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn it_decides_as_the_gateway_does() {
    let folder = folder();
    let up = upstream().start().await;
    let mut builder = gateway();
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let entry = entry.expect("a file");
        let text = std::fs::read_to_string(entry.path()).expect("text");
        builder = builder.file(
            &entry.file_name().to_string_lossy(),
            &text
                .replace("10.1.2.3", "127.0.0.1")
                .replace("8080", &up.address().port().to_string()),
        );
    }
    let gw = builder.start().await;
    for (host, path, status) in [
        ("a.test", "/", 200),
        ("a.test", "/api", 200),
        ("a.test", "/api/x", 503),
        ("c.test", "/y", 200),
        ("lost.test", "/", 503),
        ("unknown.org", "/", 404),
        ("c.b.test", "/", 404),
    ] {
        assert_eq!(gw.get(host, path).await.status, status, "{host}{path}");
        let told = explain(
            &folder,
            &["--format", "json", &format!("http://{host}{path}")],
        )
        .await
        .stdout;
        assert!(
            status == 200 || told.contains(&status.to_string()),
            "{host}{path}: {told}"
        );
    }
}

#[tokio::test]
async fn a_running_gateway_is_asked_where_no_folder_is_given() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let admin = gw.admin().to_string();
    let outcome = portcullis(&["explain", "--admin", &admin, "http://a.test/x"]).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for word in ["default/web", "svc", &up.address().to_string()] {
        assert!(outcome.stdout.contains(word), "{word}: {}", outcome.stdout);
    }
    let direct = gw
        .admin_get("/api/v1/explain?url=http%3A%2F%2Fa.test%2Fx&method=GET&header=X-Test%3A1")
        .await;
    assert_eq!(direct.status, 200, "{}", direct.text());
    assert!(
        direct.json().to_string().contains("default/web"),
        "{}",
        direct.text()
    );
    let by_command = portcullis(&[
        "explain",
        "--admin",
        &admin,
        "--format",
        "json",
        "http://a.test/x",
    ])
    .await;
    let by_command: Value = serde_json::from_str(&by_command.stdout).expect("JSON");
    let keys = |value: &Value| {
        value
            .as_object()
            .map(|o| o.keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(keys(&by_command), keys(&direct.json()));
}

#[tokio::test]
async fn unusable_arguments_are_not_0() {
    let folder = folder();
    let path = folder.path().display().to_string();
    for arguments in [
        &["explain"][..],
        &["explain", "--manifests", &path],
        &["explain", "--manifests", "/nowhere", "http://a.test/"],
        &["explain", "--manifests", &path, "not a url"],
        &["explain", "--admin", "127.0.0.1:1", "http://a.test/"],
    ] {
        let outcome = portcullis(arguments).await;
        assert!(
            outcome.code > 0 && !outcome.stderr.is_empty(),
            "{arguments:?}: {outcome:?}"
        );
    }
}
