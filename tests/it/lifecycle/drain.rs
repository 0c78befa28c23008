//! Stopping without losing a request.

use harness::{Broken, Gate, Kind, Reply, get, upstream};

use super::ready;

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
    assert_eq!(gw.exited().await, Some(0));
    let end = stuck.answer("GET").await;
    assert!(
        !matches!(&end, Ok(answer) if answer.status == 200),
        "{end:?}"
    );
    assert!(!matches!(end, Err(Broken::Malformed(_))));
}

/// Asks again and again on one connection until the gateway says that it goes; the answers.
async fn load_http2(mut client: harness::Http2) -> Result<usize, String> {
    let mut answered = 0;
    while client.is_open().await {
        let answer = client.get("a.test", "/").await;
        match (answer.status, answer.error) {
            (200, None) => answered += 1,
            // A stream that the server never took may be asked for again, RFC 9113 section 8.7.
            (0, Some(_)) => break,
            other => return Err(format!("{other:?} after {answered}")),
        }
    }
    Ok(answered)
}

#[tokio::test]
async fn sigterm_loses_no_stream_of_http2() {
    let up = upstream().start().await;
    let mut gw = crate::in_front_of(&up).flag("--workers", "2").start().await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = gw.http2_tls("a.test").await;
        tasks.push(tokio::spawn(load_http2(client)));
    }
    harness::until("the load runs", async || up.complete() > 100).await;
    gw.signal("TERM");
    let mut answered = 0;
    for task in tasks {
        let result = harness::within("the load to end", task).await;
        answered += result
            .expect("no panic")
            .unwrap_or_else(|lost| panic!("{lost}"));
    }
    assert_eq!(gw.exited().await, Some(0));
    assert_eq!(
        answered,
        up.complete(),
        "what a backend answered reached its client"
    );
}

#[tokio::test]
async fn a_websocket_lives_until_the_timeout_and_does_not_hold_the_exit() {
    let up = upstream()
        .answer(|_| Reply::upgrade("websocket"))
        .start()
        .await;
    let mut gw = crate::in_front_of(&up)
        .flag("--drain-timeout", "2s")
        .start()
        .await;
    let mut connection = gw.connect().await;
    let asked = get("/")
        .host("a.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    assert_eq!(connection.ask(&asked).await.status, 101);
    gw.signal("TERM");
    harness::until("it takes no new connection", async || {
        tokio::net::TcpStream::connect(gw.http()).await.is_err()
    })
    .await;
    connection.send("still here").await;
    let echo = connection.exactly(10).await.expect("an open tunnel");
    assert_eq!(echo, b"still here");
    assert!(connection.rest().await.is_empty());
    assert_eq!(gw.exited().await, Some(0));
}
