//! Starting, refusing to start, and stopping without losing a request.

use std::time::Duration;

use harness::{Broken, Gate, Gateway, Kind, Reply, gateway, get, ingress, portcullis, upstream};
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

/// Asks again and again on one connection until the gateway says that it closes it; the answers.
async fn load(address: std::net::SocketAddr) -> Result<usize, String> {
    let mut connection = harness::Connection::open(address).await;
    let mut answered = 0;
    loop {
        match connection.try_ask(&get("/").host("a.test")).await {
            Ok(answer) if answer.status == 200 => {
                answered += 1;
                if answer
                    .header("connection")
                    .is_some_and(|c| c.eq_ignore_ascii_case("close"))
                {
                    return Ok(answered);
                }
            }
            Ok(answer) => return Err(format!("{} after {answered}", answer.status)),
            Err(error) => return Err(format!("{error:?} after {answered}")),
        }
    }
}

#[tokio::test]
async fn sigterm_loses_no_request_of_kept_connections() {
    let up = upstream().start().await;
    let mut gw = crate::in_front_of(&up).flag("--workers", "2").start().await;
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(load(gw.http()))).collect();
    harness::until("the load runs", async || up.complete() > 200).await;
    gw.signal("TERM");
    let mut answered = 0;
    for task in tasks {
        let result = harness::within("the load to end", task)
            .await
            .expect("no panic");
        answered += result.unwrap_or_else(|lost| panic!("lost: {lost}"));
    }
    assert_eq!(gw.exited().await, Some(0));
    assert_eq!(answered, up.complete());
}

#[tokio::test]
async fn what_runs_is_finished_and_closed() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let up = upstream()
        .answer(move |_| Reply::echo().after(&opened))
        .start()
        .await;
    let mut gw = crate::in_front_of(&up).start().await;
    let mut h1 = gw.connect().await;
    h1.send(get("/h1").host("a.test").bytes()).await;
    let mut frames = gw.frames().await;
    frames.send(&harness::Frame::get(1, "a.test", "/h2")).await;
    harness::until("both are with the backend", async || up.complete() == 2).await;
    gw.signal("TERM");
    let goaway = frames
        .next_of(Kind::GoAway)
        .await
        .expect("a GOAWAY before the end");
    assert_eq!(goaway.payload[4..8], [0; 4], "without an error");
    assert!(gw.is_running());
    gate.open();
    let answer = h1.answer("GET").await.expect("an answer");
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
    assert!(h1.rest().await.is_empty());
    let data = frames
        .next_of(Kind::Data)
        .await
        .expect("the stream that ran");
    assert_eq!(data.stream, 1);
    assert_eq!(gw.exited().await, Some(0));
}

#[tokio::test]
async fn an_idle_connection_may_bring_one_more_request() {
    let up = upstream().start().await;
    let mut gw = crate::in_front_of(&up).start().await;
    let mut kept = gw.connect().await;
    assert_eq!(kept.ask(&get("/").host("a.test")).await.status, 200);
    let mut unused = gw.connect().await;
    assert_eq!(unused.ask(&get("/").host("a.test")).await.status, 200);
    gw.signal("TERM");
    harness::until("the gateway drains", async || ready(&gw).await == 503).await;
    // The worker may learn of it a moment later than the probe.
    harness::until("an answer says that it is the last", async || {
        let answer = kept.ask(&get("/").host("a.test")).await;
        assert_eq!(answer.status, 200);
        answer.header("connection") == Some("close")
    })
    .await;
    assert!(kept.rest().await.is_empty());
    assert!(unused.rest().await.is_empty());
    assert_eq!(gw.exited().await, Some(0));
}

async fn ready(gw: &Gateway) -> u16 {
    gw.admin_get("/readyz").await.status
}

#[tokio::test]
async fn readiness_goes_at_once_and_the_delay_goes_on_accepting() {
    for signal in ["TERM", "INT"] {
        let up = upstream().start().await;
        let mut gw = crate::in_front_of(&up)
            .flag("--drain-delay", "3s")
            .start()
            .await;
        assert_eq!(ready(&gw).await, 200);
        gw.signal(signal);
        harness::until("it is not ready", async || ready(&gw).await == 503).await;
        assert_eq!(gw.admin_get("/livez").await.status, 200);
        assert_eq!(gw.get("a.test", "/").await.status, 200);
        assert_eq!(gw.exited().await, Some(0));
    }
}

#[tokio::test]
async fn after_the_timeout_what_is_left_is_cut() {
    let up = upstream()
        .answer(|_| Reply::echo().after(&Gate::closed()))
        .start()
        .await;
    let mut gw = crate::in_front_of(&up)
        .flag("--drain-timeout", "1s")
        .start()
        .await;
    let mut stuck = gw.connect().await;
    stuck.send(get("/").host("a.test").bytes()).await;
    harness::until("it is with the backend", async || up.complete() == 1).await;
    gw.signal("TERM");
    assert!(gw.exited().await.is_some());
    let end = stuck.answer("GET").await;
    assert!(
        !matches!(&end, Ok(answer) if answer.status == 200),
        "{end:?}"
    );
    assert!(!matches!(end, Err(Broken::Malformed(_))));
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
async fn descriptors_that_run_out_come_back() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut open = Vec::new();
    for _ in 0..300 {
        open.push(gw.connect().await);
    }
    assert_eq!(
        harness::within_time(Duration::from_secs(5), "an answer", gw.get("a.test", "/"))
            .await
            .status,
        200
    );
    drop(open);
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}
