//! Who is slow for a good reason is waited for, with all limits at one second.

use std::time::Duration;

use harness::{Frame, Gate, Http2, Kind, Payload, Reply, TlsOptions, get, post, upstream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{OK, limited};

/// Three times every limit.
const LONG: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_backend_that_thinks_is_waited_for() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let up = upstream()
        .answer(move |_| Reply::echo().after(&opened))
        .start()
        .await;
    let gw = limited(&up).start().await;
    let mut plain = gw.connect().await;
    plain.send(get("/").host("a.test").bytes()).await;
    let mut posted = gw.connect().await;
    posted.send(post("/", "hello").host("a.test").bytes()).await;
    let mut frames = gw.frames().await;
    frames.send(&Frame::headers(1, &OK, true)).await;
    harness::until("all are with the backend", async || up.complete() == 3).await;
    harness::pause(LONG).await;
    gate.open();
    assert_eq!(plain.answer("GET").await.expect("an answer").status, 200);
    assert_eq!(posted.answer("POST").await.expect("an answer").status, 200);
    assert_eq!(frames.verdict(1).await, harness::Verdict::Status(200));
}

#[tokio::test]
async fn a_quiet_websocket_stays_open() {
    let up = upstream()
        .answer(|_| Reply::upgrade("websocket"))
        .start()
        .await;
    let gw = limited(&up).flag("--idle-timeout", "1s").start().await;
    let mut connection = gw.connect().await;
    let asked = get("/")
        .host("a.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    assert_eq!(connection.ask(&asked).await.status, 101);
    let mut stream = connection.into_stream();
    harness::pause(LONG).await;
    stream.write_all(b"ping").await.expect("an open tunnel");
    let mut back = [0; 4];
    let echo = harness::within("an echo", stream.read_exact(&mut back)).await;
    echo.expect("an open tunnel");
}

#[tokio::test]
async fn a_quiet_event_stream_stays_open() {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let slot = std::sync::Mutex::new(Some(receiver));
    let up = upstream()
        .answer(move |_| {
            let mut slot = slot.lock().expect("no panic");
            let events = slot.take().expect("one request");
            Reply::of(200, Payload::Stream(None, events))
                .header("Content-Type", "text/event-stream")
        })
        .start()
        .await;
    let gw = limited(&up).flag("--idle-timeout", "1s").start().await;
    let mut connection = gw.connect().await;
    connection.send(get("/").host("a.test").bytes()).await;
    assert_eq!(connection.head("GET").await.expect("a head").status, 200);
    harness::pause(LONG).await;
    sender.send(b"data: 1\n\n".to_vec()).expect("a listener");
    let event = connection.chunk().await.expect("an open stream");
    assert_eq!(event.as_deref(), Some(&b"data: 1\n\n"[..]));
}

/// Browsers connect before they know what to ask, and some networks are slow.
#[tokio::test]
async fn a_client_may_think_before_each_step() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    // Longer than it takes for an idle connection to be parked.
    let think = async || harness::pause(Duration::from_millis(1500)).await;
    let asked = get("/").host("a.test");

    let mut plain = gw.connect().await;
    think().await;
    for _ in 0..2 {
        assert_eq!(plain.ask(&asked).await.status, 200);
        think().await;
    }
    // One that asked for another protocol, in vain, is like any other.
    for protocol in ["websocket", "h2c"] {
        let wish = asked
            .clone()
            .header("Connection", "Upgrade")
            .header("Upgrade", protocol);
        assert_eq!(plain.ask(&wish).await.status, 200);
        think().await;
    }
    let halves = asked.bytes();
    let (first, second) = halves.split_at(10);
    plain.send(first).await;
    think().await;
    plain.send(second).await;
    assert_eq!(plain.answer("GET").await.expect("an answer").status, 200);

    let shake = async |protocol: &str| {
        let stream = TcpStream::connect(gw.https()).await.expect("a connection");
        think().await;
        let options = TlsOptions::lenient().alpn(&[protocol]);
        options.over(stream, "a.test").await.expect("a handshake")
    };
    let mut secure = shake("http/1.1").await.http1();
    think().await;
    for _ in 0..2 {
        assert_eq!(secure.ask(&asked).await.status, 200);
        think().await;
    }
    let mut http2 = Http2::over(shake("h2").await.stream).await;
    think().await;
    assert_eq!(http2.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_slow_reader_and_a_slow_sender_that_go_on_are_served() {
    let up = upstream()
        .answer(|seen| match seen.target.as_str() {
            "/big" => Reply::of(200, Payload::Many(32 << 20)),
            _ => Reply::echo(),
        })
        .start()
        .await;
    let gw = limited(&up).start().await;
    let mut reader = gw.connect().await;
    reader.send(get("/big").host("a.test").bytes()).await;
    assert_eq!(reader.head("GET").await.expect("a head").status, 200);
    let mut sender = gw.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 40960\r\n\r\n";
    sender.send(head).await;
    // Four seconds, a piece every tenth of one.
    for _ in 0..40 {
        sender.send(vec![b'x'; 1024]).await;
        reader.exactly(512 << 10).await.expect("more of the body");
        harness::pause(Duration::from_millis(100)).await;
    }
    reader
        .exactly(12 << 20)
        .await
        .expect("the rest of the body");
    let saw = sender.answer("POST").await.expect("an answer").saw();
    assert_eq!(saw.length, 40_960);
}

#[tokio::test]
async fn a_second_head_that_drips_is_cut_like_a_first() {
    let up = upstream().start().await;
    let gw = limited(&up).start().await;
    let mut connection = gw.connect().await;
    assert_eq!(connection.ask(&get("/").host("a.test")).await.status, 200);
    connection.send("GET / HTTP/1.1\r\nHost: a.te").await;
    super::drips(&mut connection, "t").await;
    assert_eq!(up.seen().len(), 1);
}

#[tokio::test]
async fn a_stalled_stream_leaves_the_others_of_its_connection() {
    let up = upstream().start().await;
    let gw = limited(&up).start().await;
    let mut frames = gw.frames().await;
    frames.send(&Frame::headers(1, &OK, false)).await;
    frames.send(&Frame::data(1, "hello", false)).await;
    harness::until("the stalled stream is cut", async || {
        frames
            .next()
            .await
            .is_none_or(|frame| frame.stream == 1 || frame.kind == Kind::GoAway as u8)
    })
    .await;
    // A reset of the stream alone leaves the connection to others; ending it all is allowed.
    frames.send(&Frame::get(3, "a.test", "/")).await;
    let verdict = frames.verdict(3).await;
    let fine = matches!(
        verdict,
        harness::Verdict::Status(200) | harness::Verdict::GoAway(_) | harness::Verdict::Closed
    );
    assert!(fine, "{verdict:?}");
}
