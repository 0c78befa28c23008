//! Either side gives up: the other learns of it, and nothing is left over for the next request.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use harness::{
    Broken, Connection, Framing, Gate, Payload, Reply, Upstream, Wire, get, post, upstream,
};

#[tokio::test]
async fn an_upload_that_is_broken_off_never_completes_at_the_backend() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut connection = gw.connect().await;
        let body = if head.starts_with('C') {
            "hello"
        } else {
            "5\r\nhello\r\n"
        };
        connection
            .send(format!(
                "POST / HTTP/1.1\r\nHost: a.test\r\n{head}\r\n\r\n{body}"
            ))
            .await;
        harness::until("the backend has the beginning", async || {
            up.body_bytes() > 0
        })
        .await;
        drop(connection);
        harness::until("the backend learns of it", async || {
            !up.violations().is_empty()
        })
        .await;
        assert_eq!(up.complete(), 0, "{head}");
        assert!(
            up.violations().iter().all(|v| v == "Truncated"),
            "{:?}",
            up.violations()
        );
        up.forget();
    }
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_client_that_is_gone_ends_the_download() {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let slot = std::sync::Mutex::new(Some(receiver));
    let up = upstream()
        .answer(move |_| {
            let mut slot = slot.lock().expect("no panic");
            let pieces = slot.take().expect("one request");
            Reply::of(200, Payload::Stream(None, pieces))
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    connection.send(get("/").host("a.test").bytes()).await;
    assert_eq!(connection.head("GET").await.expect("a head").status, 200);
    drop(connection);
    harness::until("the backend's connection is closed", async || {
        sender.send(vec![b'x'; 65_536]).is_err()
    })
    .await;
}

/// The end of the client's stream is not the end of the answer, also where the socket is full.
#[tokio::test]
async fn a_half_closed_client_that_reads_slowly_gets_all_of_its_answer() {
    let body = 3_000_000;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
    let up = upstream()
        .bytes([head.into_bytes(), vec![b'x'; body]].concat())
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    for _ in 0..4 {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let mut client = socket.connect(gw.http()).await.expect("a connection");
        let ask = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
        client.write_all(ask).await.expect("sent");
        client.shutdown().await.expect("half closed");
        let mut answer = Vec::new();
        let mut part = [0; 2048];
        harness::within("the end of the answer", async {
            loop {
                match client.read(&mut part).await.expect("no reset") {
                    0 => return,
                    count => answer.extend_from_slice(&part[..count]),
                }
            }
        })
        .await;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n");
        assert_eq!(answer.len() - end.expect("a head") - 4, body);
    }
}

/// A backend that takes requests and answers none; it notes the end of its connections.
async fn pondering(ended: &Gate) -> Upstream {
    let ended = ended.clone();
    let up = upstream().raw(move |stream, _| {
        let ended = ended.clone();
        async move {
            let mut wire = Wire::over(stream);
            let _head = wire.head().await;
            let _end = wire.some().await;
            ended.open();
        }
    });
    up.start().await
}

#[tokio::test]
async fn a_client_that_resets_its_connection_ends_its_request() {
    let ended = Gate::closed();
    let up = pondering(&ended).await;
    let gw = crate::in_front_of(&up).start().await;
    let stream = tokio::net::TcpStream::connect(gw.http()).await;
    let stream = stream.expect("the listener accepts");
    stream.set_zero_linger().expect("a TCP socket");
    let mut connection = Connection::over(stream);
    connection.send(get("/").host("a.test").bytes()).await;
    harness::until("the request is with the backend", async || {
        up.connections() == 1
    })
    .await;
    drop(connection);
    harness::within("the backend to learn of it", ended.passed()).await;
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_its_request() {
    let ended = Gate::closed();
    let up = pondering(&ended).await;
    let gw = crate::in_front_of(&up).start().await;
    let mut frames = gw.frames().await;
    frames.send(&harness::Frame::get(1, "a.test", "/")).await;
    harness::until("the request is with the backend", async || {
        up.connections() == 1
    })
    .await;
    let cancel = 8_u32.to_be_bytes();
    frames
        .send(&harness::Frame::of(harness::Kind::Reset, 0, 1, cancel))
        .await;
    harness::within("the backend to learn of it", ended.passed()).await;
}

#[tokio::test]
async fn a_client_that_ends_its_direction_still_gets_its_answer() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let up = upstream()
        .answer(move |_| Reply::echo().after(&opened))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    connection.send(get("/").host("a.test").bytes()).await;
    connection.finish().await;
    harness::until("the request is with the backend", async || {
        up.complete() == 1
    })
    .await;
    gate.open();
    // Half-closed clients are rare; being closed is the other usual answer.
    match connection.answer("GET").await {
        Ok(answer) => {
            assert_eq!(answer.status, 200);
            // Nothing more can come from there.
            assert!(connection.rest().await.is_empty());
        }
        Err(error) => assert!(
            matches!(error, Broken::Closed | Broken::Truncated),
            "{error:?}"
        ),
    }
}

#[tokio::test]
async fn the_rest_of_an_upload_is_never_the_next_request() {
    let up = upstream()
        .answer(|seen| match seen.target.as_str() {
            "/early" => Reply::of(403, Payload::Sized(b"no".to_vec())).early(),
            _ => Reply::echo(),
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let inner = get("/smuggled").host("a.test").bytes();
    let body = [vec![b'x'; 50_000], inner.clone()].concat();
    let mut connection = gw.connect().await;
    let head = format!(
        "POST /early HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.send(&head).await;
    let answer = connection.answer("POST").await.expect("an answer");
    assert_eq!((answer.status, answer.framing), (403, Framing::Length(2)));
    connection.send(&body).await;
    connection.send(get("/next").host("a.test").bytes()).await;
    // Either the connection is closed, or the next answer is that of the next request.
    if let Ok(next) = connection.answer("GET").await {
        assert_eq!(next.saw().target, "/next");
    }
    assert!(
        up.seen().iter().all(|seen| seen.target != "/smuggled"),
        "{:?}",
        up.seen()
    );
}

#[tokio::test]
async fn an_expectation_that_is_refused_needs_no_body() {
    let up = upstream()
        .answer(|_| Reply::of(417, Payload::Sized(b"no".to_vec())).early())
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let head =
        "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head).await;
    let answer = connection.answer("POST").await.expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (417, "no"));
    // Whether the body follows is open now: the connection cannot go on as if it had come.
    connection.send(get("/next").host("a.test").bytes()).await;
    if let Ok(next) = connection.answer("GET").await {
        assert_eq!(
            next.status, 400,
            "the next request was taken for the body, or the body for it"
        );
    }
    assert!(
        up.seen().iter().all(|seen| seen.target == "/x"),
        "{:?}",
        up.seen()
    );
}

#[tokio::test]
async fn a_http2_stream_that_is_reset_ends_its_request_only() {
    let up = upstream()
        .raw(|stream, _| async move {
            let mut wire = Wire::over(stream);
            while let Ok(head) = wire.head().await {
                if head.start.contains("/stuck") {
                    let _end = wire.some().await;
                    return;
                }
                let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                let _closed = wire.write(ok).await;
            }
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut frames = gw.frames().await;
    frames
        .send(&harness::Frame::get(1, "a.test", "/stuck"))
        .await;
    harness::until("the request is with the backend", async || {
        up.connections() == 1
    })
    .await;
    let cancel = 8_u32.to_be_bytes();
    frames
        .send(&harness::Frame::of(harness::Kind::Reset, 0, 1, cancel))
        .await;
    frames.send(&harness::Frame::get(3, "a.test", "/")).await;
    assert_eq!(frames.verdict(3).await, harness::Verdict::Status(200));
}

#[tokio::test]
async fn bytes_sent_with_an_upgrade_wait_for_the_switch() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let up = upstream()
        .answer(move |_| Reply::upgrade("websocket").after(&opened))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let asked = get("/")
        .host("a.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    connection
        .send([asked.bytes(), b"early".to_vec()].concat())
        .await;
    harness::until("the handshake is with the backend", async || {
        up.complete() == 1
    })
    .await;
    assert_eq!(up.body_bytes(), 0);
    gate.open();
    let answer = connection.answer("GET").await.expect("an answer");
    assert_eq!(answer.status, 101);
    assert_eq!(connection.exactly(5).await.expect("an echo"), b"early");
}

#[tokio::test]
async fn answers_with_many_fields_pass() {
    let up = upstream()
        .answer(|seen| {
            let count = seen.target.trim_start_matches('/').parse().unwrap_or(0);
            (0..count).fold(Reply::text("x"), |reply, n| {
                reply.header("Set-Cookie", &format!("c{n}={}", "v".repeat(500)))
            })
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    for count in [50, 99] {
        let answer = gw.get("a.test", &format!("/{count}")).await;
        assert_eq!(
            (answer.status, answer.all("set-cookie").len()),
            (200, count)
        );
    }
    assert_eq!(
        gw.send(&post("/3", "x").host("a.test"))
            .await
            .all("set-cookie")
            .len(),
        3
    );
}
