//! Descriptors: clients leave those that backends and the gateway itself need.

use std::time::{Duration, Instant};

use harness::{Connection, Gate, Gateway, Reply, get, ingress, run, upstream};

/// How many connections of so many are served.
async fn served(gw: &Gateway, count: usize) -> Vec<Connection> {
    let mut open = Vec::new();
    for _ in 0..count {
        let mut connection = gw.connect().await;
        if let Ok(answer) = connection.try_ask(&get("/").host("a.test")).await {
            assert_eq!(answer.status, 200);
            open.push(connection);
        }
    }
    open
}

#[tokio::test]
async fn clients_leave_descriptors_for_backends_and_changes() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).open_files(256).start().await;
    let mut open = served(&gw, 300).await;
    let refused = gw.metric("portcullis_connections_refused_total").await;
    println!(
        "of 300 connections {} are served, {refused} refused",
        open.len()
    );
    assert!((60..120).contains(&open.len()), "{}", open.len());
    assert!(refused >= 180.0, "{refused}");
    let shared = gw
        .log()
        .into_iter()
        .find(|line| line.contains("open files shared"));
    println!("{}", shared.expect("the log says how they are shared"));

    // All at once: each needs a connection to the backend.
    let gate = Gate::closed();
    let opened = gate.clone();
    let slow = upstream()
        .answer(move |_| Reply::echo().after(&opened))
        .start()
        .await;
    gw.apply(harness::service("slow", &[("http", 80)]));
    gw.endpoints("slow", &[slow.address()]);
    gw.apply(ingress("slow").host("slow.test").path("/", "slow", 80));
    harness::until("the change is served", async || {
        gw.routes().await.len() == 2
    })
    .await;
    for connection in &mut open {
        connection.send(get("/").host("slow.test").bytes()).await;
    }
    harness::until("all are with the backend", async || {
        slow.seen().len() == open.len()
    })
    .await;
    gate.open();
    for connection in &mut open {
        assert_eq!(
            connection.answer("GET").await.expect("an answer").status,
            200
        );
    }
    drop(open);
    gw.until_served().await;
}

#[tokio::test]
async fn more_requests_than_descriptors_are_refused_and_the_others_served() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let up = upstream()
        .answer(move |_| Reply::echo().after(&opened))
        .start()
        .await;
    let gw = crate::in_front_of(&up).open_files(256).start().await;
    // On few connections, so that it is the backend's side that runs out.
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut frames = gw.frames().await;
        for number in 0..100 {
            frames
                .send(&harness::Frame::get(number * 2 + 1, "a.test", "/"))
                .await;
        }
        clients.push(frames);
    }
    harness::until("some are refused", async || {
        let shed = gw.metric("portcullis_requests_shed_total").await;
        shed + gw.metric("portcullis_upstream_connections_open").await >= 300.0
    })
    .await;
    let waiting = gw.metric("portcullis_upstream_connections_open").await;
    gate.open();
    let mut answered = 0_u32;
    for frames in &mut clients {
        for _ in 0..100 {
            let head = frames.next_of(harness::Kind::Headers).await;
            answered += u32::from(head.expect("an answer").status() == 200);
        }
    }
    let shed = gw.metric("portcullis_requests_shed_total").await;
    println!("of 300 requests {waiting} reached the backend: {answered} are 200, {shed} 503");
    assert!(
        answered >= 60 && f64::from(answered) + shed == 300.0,
        "{answered}, {shed}"
    );
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    let ejected = gw.metric("portcullis_upstream_ejections_total").await;
    assert_eq!(ejected, 0.0, "it was not the endpoint's fault");
}

#[tokio::test]
async fn without_descriptors_it_waits_and_recovers() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut kept = gw.connect().await;
    assert_eq!(kept.ask(&get("/").host("a.test")).await.status, 200);
    // Lower than what is open: whatever is accepted fails.
    let id = gw.id().to_string();
    let limit = |limit: &str| {
        let argument = format!("--nofile={limit}:");
        let done = run(std::process::Command::new("prlimit").args(["--pid", &id, &argument]));
        assert_eq!(done.code, 0, "{}", done.stderr);
    };
    limit("8");
    let mut open = Vec::new();
    for _ in 0..50 {
        open.push(gw.connect().await);
    }
    harness::until("it cannot accept", async || {
        gw.log()
            .iter()
            .any(|line| line.contains("cannot accept connections"))
    })
    .await;
    let (cpu, time) = (gw.cpu(), Instant::now());
    harness::pause(Duration::from_secs(2)).await;
    let (cpu, time) = (gw.cpu() - cpu, time.elapsed());
    let lines = gw
        .log()
        .iter()
        .filter(|line| line.contains("cannot accept"))
        .count();
    println!("CPU {cpu:?} in {time:?} without descriptors, {lines} lines logged");
    assert!(cpu < time / 5, "{cpu:?} of {time:?}");
    assert_eq!(kept.ask(&get("/").host("a.test")).await.status, 200);
    limit("1024");
    for mut connection in open {
        assert_eq!(connection.ask(&get("/").host("a.test")).await.status, 200);
    }
}

#[tokio::test]
async fn too_few_descriptors_end_the_start_with_what_to_do() {
    let mut command = harness::portcullis_command_with_files(64);
    let folder = tempfile::tempdir().expect("a folder");
    command.args([
        "run",
        "--http=127.0.0.1:0",
        "--https=127.0.0.1:0",
        "--admin=127.0.0.1:0",
    ]);
    command.arg("--manifests").arg(folder.path());
    let outcome = run(&mut command);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("64 open files are too few"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("ulimit -n"), "{}", outcome.stderr);
}

#[tokio::test]
async fn tunnels_are_connections_too() {
    let up = upstream()
        .answer(|_| Reply::upgrade("websocket"))
        .start()
        .await;
    let gw = crate::in_front_of(&up)
        .flag("--max-connections", "10")
        .start()
        .await;
    let wish = get("/").host("a.test").header("Connection", "Upgrade");
    let wish = wish.header("Upgrade", "websocket");
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut connection = gw.connect().await;
        assert_eq!(connection.ask(&wish).await.status, 101);
        held.push(connection);
    }
    let open = async |count: f64| {
        harness::until("so many connections are open", async || {
            gw.metric("portcullis_connections_open").await == count
        })
        .await;
    };
    open(8.0).await;
    // The last ones are for other Services.
    held.extend([gw.connect().await, gw.connect().await]);
    open(10.0).await;
    assert!(gw.connect().await.try_ask(&wish).await.is_err());
    drop(held);
    open(0.0).await;
    assert_eq!(gw.connect().await.ask(&wish).await.status, 101);
}
