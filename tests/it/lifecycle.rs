//! Starting, refusing to start, and stopping without losing a request.

mod drain;

use std::time::Duration;

use harness::{Gateway, gateway, get, ingress, portcullis, upstream};
use tempfile::TempDir;
use tokio::net::TcpListener;

async fn refuses(flags: &[&str]) -> String {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().display().to_string();
    let given = |name: &str| flags.iter().any(|flag| flag.starts_with(name));
    let mut arguments = vec!["run"];
    arguments.extend(flags);
    let defaults = [
        "--http=127.0.0.1:0",
        "--https=127.0.0.1:0",
        "--admin=127.0.0.1:0",
    ];
    arguments.extend(
        defaults
            .iter()
            .filter(|flag| !flag.split('=').next().is_some_and(given)),
    );
    let manifests = format!("--manifests={path}");
    if !given("--manifests") {
        arguments.push(&manifests);
    }
    let outcome = portcullis(&arguments).await;
    assert!(outcome.code > 0, "{outcome:?}");
    assert!(outcome.stderr.lines().count() < 25, "{}", outcome.stderr);
    outcome.stderr
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("a bound socket").to_string();
    for flag in ["--http", "--https", "--admin", "--metrics"] {
        let told = refuses(&[&format!("{flag}={address}")]).await;
        assert!(told.contains(&address), "{flag}: {told}");
    }
}

#[tokio::test]
async fn a_port_of_another_gateway_is_in_use_too() {
    let gw = gateway().start().await;
    for (flag, address) in [
        ("--http", gw.http()),
        ("--https", gw.https()),
        ("--admin", gw.admin()),
    ] {
        let told = refuses(&[&format!("{flag}={address}")]).await;
        assert!(told.contains(&address.to_string()), "{flag}: {told}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_is_named() {
    let told = refuses(&["--manifests=/nowhere/at/all"]).await;
    assert!(told.contains("/nowhere/at/all"), "{told}");
}

#[tokio::test]
async fn wrong_flags_are_named() {
    let cases = [
        ("--nonsense", "--nonsense"),
        ("--http=nonsense", "nonsense"),
        ("--workers=none", "none"),
        ("--workers=0", "workers"),
        ("--connect-timeout=soon", "soon"),
        ("--max-body=much", "much"),
        ("--trusted-proxies=10.0.0.0/99", "10.0.0.0/99"),
        ("--default-tls-secret=nameless", "nameless"),
    ];
    for (flag, word) in cases {
        let told = refuses(&[flag]).await;
        assert!(told.contains(word), "{flag}: {told}");
    }
    let none = portcullis(&["nonsense"]).await;
    assert_eq!(none.code, 2, "{none:?}");
}

#[tokio::test]
async fn flags_may_come_from_the_environment_and_help_tells_all() {
    let help = portcullis(&["run", "--help"]).await;
    assert_eq!(help.code, 0);
    for flag in [
        "--http",
        "--https",
        "--admin",
        "--metrics",
        "--ingress-class",
        "--controller",
        "--workers",
        "--trusted-proxies",
        "--proxy-protocol",
        "--redirect-port",
        "--max-body",
        "--connect-timeout",
        "--response-timeout",
        "--idle-timeout",
        "--drain-delay",
        "--drain-timeout",
        "--access-log",
        "--default-tls-secret",
        "--allow-external-name",
    ] {
        assert!(help.stdout.contains(flag), "{flag}: {}", help.stdout);
    }
    assert!(help.stdout.contains("PORTCULLIS_HTTP"), "{}", help.stdout);
}

async fn ready(gw: &Gateway) -> u16 {
    gw.admin_get("/readyz").await.status
}

#[tokio::test]
async fn an_empty_folder_is_ready_and_fills_up_live() {
    let up = upstream().start().await;
    let gw = gateway().start().await;
    assert_eq!(gw.get("a.test", "/").await.status, 404);
    gw.apply(harness::service("svc", &[("http", 80)]));
    gw.endpoints("svc", &[up.address()]);
    gw.apply(ingress("web").host("a.test").path("/", "svc", 80));
    gw.until_status("a.test", "/", 200).await;
}

#[tokio::test]
async fn files_that_run_out_cost_no_more_than_new_connections() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).open_files(128).start().await;
    let mut kept = gw.connect().await;
    assert_eq!(kept.ask(&get("/").host("a.test")).await.status, 200);
    let mut open = Vec::new();
    for _ in 0..200 {
        open.push(gw.connect().await);
    }
    let before = gw.cpu();
    harness::pause(Duration::from_secs(1)).await;
    let used = gw.cpu() - before;
    assert!(used < Duration::from_millis(200), "{used:?} of a second");
    assert_eq!(kept.ask(&get("/").host("a.test")).await.status, 200);
    drop(open);
    gw.until_served().await;
}

#[tokio::test]
async fn nobody_gets_404_before_the_first_configuration_serves() {
    let up = upstream().start().await;
    let mut builder = crate::in_front_of(&up);
    for number in 0..300 {
        let name = format!("more-{number}");
        builder = builder.manifest(
            ingress(&name)
                .host(&format!("{name}.test"))
                .path("/", "svc", 80),
        );
    }
    let gw = builder.launch().await;
    let mut connection = gw.connect().await;
    let first = connection.try_ask(&get("/").host("a.test")).await;
    assert!(
        !matches!(&first, Ok(answer) if answer.status == 404),
        "{first:?}"
    );
    harness::until("it is ready", async || ready(&gw).await == 200).await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    assert_eq!(gw.get("more-299.test", "/").await.status, 200);
}
