//! Bodies stream both ways, keep their framing, and wait for slow readers.

use bytes::Bytes;
use harness::{Framing, Gate, Gateway, Payload, Reply, Wire, get, post, upstream};

const MIB: u64 = 1 << 20;

/// Fails if the gateway holds more memory than `before` and this many mebibytes.
fn assert_flat(gw: &Gateway, before: u64, room: u64) {
    let now = gw.resident();
    assert!(
        now < before + room * MIB,
        "{} MiB became {} MiB",
        before / MIB,
        now / MIB
    );
}

#[tokio::test]
async fn the_framing_of_answers_stays() {
    let up = upstream()
        .answer(|seen| match seen.target.as_str() {
            "/sized" => Reply::of(200, Payload::Sized(vec![b'x'; 70_000])),
            "/empty" => Reply::of(200, Payload::Sized(Vec::new())),
            "/chunked" => Reply::of(
                200,
                Payload::Chunked(vec![vec![b'x'; 35_000]; 2], Vec::new()),
            ),
            _ => Reply::of(
                200,
                Payload::Raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec()),
            ),
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    for (path, framing, length) in [
        ("/sized", Framing::Length(70_000), 70_000),
        ("/empty", Framing::Length(0), 0),
        ("/chunked", Framing::Chunked, 70_000),
        ("/close", Framing::Chunked, 13),
    ] {
        let answer = gw.get("a.test", path).await;
        assert_eq!(
            (answer.framing, answer.body.len()),
            (framing, length),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_framing_of_requests_stays() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let sized = gw.send(&post("/", "0123456789").host("a.test")).await.saw();
    assert_eq!(
        (sized.length, sized.header("content-length")),
        (10, Some("10"))
    );
    assert_eq!(sized.header("transfer-encoding"), None);

    let mut connection = gw.connect().await;
    connection
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    connection
        .send("3;ext=1\r\nabc\r\n7\r\ndefghij\r\n0\r\n\r\n")
        .await;
    let chunked = connection.answer("POST").await.expect("an answer").saw();
    assert_eq!(
        (chunked.length, chunked.header("transfer-encoding")),
        (10, Some("chunked"))
    );
    assert_eq!(up.seen()[1].body, b"abcdefghij");

    let none = gw.get("a.test", "/").await.saw();
    assert_eq!(
        (
            none.header("content-length"),
            none.header("transfer-encoding")
        ),
        (None, None)
    );
}

#[tokio::test]
async fn pieces_of_an_answer_arrive_as_they_are_sent() {
    let gate = Gate::closed();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let slot = std::sync::Mutex::new(Some(receiver));
    let up = upstream()
        .answer(move |_| {
            let pieces = slot
                .lock()
                .ok()
                .and_then(|mut slot| slot.take())
                .expect("one request");
            Reply::of(200, Payload::Stream(None, pieces))
                .header("Content-Type", "text/event-stream")
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    connection.send(get("/").host("a.test").bytes()).await;
    assert_eq!(
        connection.head("GET").await.expect("a head").framing,
        Framing::Chunked
    );
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        sender
            .send(event.clone().into_bytes())
            .expect("a backend that listens");
        assert_eq!(
            connection.chunk().await.expect("a chunk"),
            Some(event.into_bytes())
        );
    }
    drop((sender, gate));
    assert_eq!(connection.chunk().await.expect("the end"), None);
}

#[tokio::test]
async fn pieces_of_a_request_arrive_as_they_are_sent() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    connection
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 50\r\n\r\n")
        .await;
    for number in 1..=5 {
        connection.send("0123456789").await;
        harness::until("the piece arrives", async || up.body_bytes() == number * 10).await;
    }
    assert_eq!(
        connection
            .answer("POST")
            .await
            .expect("an answer")
            .saw()
            .length,
        50
    );
}

#[tokio::test]
async fn a_big_download_waits_for_its_reader_in_little_memory() {
    let length = 256 * MIB;
    let up = upstream()
        .answer(move |_| Reply::of(200, Payload::Many(length)))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    assert_eq!(gw.get("b.test", "/").await.status, 404);
    let before = gw.resident();
    let mut connection = gw.connect().await;
    connection.send(get("/").host("a.test").bytes()).await;
    let answer = connection.head("GET").await.expect("a head");
    assert_eq!(answer.framing, Framing::Length(length));
    let mut left = usize::try_from(length).expect("a length");
    let mut pieces = 0;
    while left > 0 {
        let piece = left.min(1 << 20);
        connection.exactly(piece).await.expect("the whole body");
        left -= piece;
        pieces += 1;
        // The reader stands still for a moment: the backend must, too.
        if pieces % 64 == 0 {
            assert_flat(&gw, before, 24);
        }
    }
    assert_flat(&gw, before, 24);
}

#[tokio::test]
async fn a_big_upload_waits_for_a_backend_that_does_not_read() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let up = upstream()
        .raw(move |stream, _| {
            let gate = opened.clone();
            async move {
                let mut wire = Wire::over(stream);
                let Ok(_head) = wire.head().await else { return };
                gate.passed().await;
                let mut length = 0;
                let body = wire
                    .body(Framing::Length(128 * MIB), |piece| length += piece.len())
                    .await;
                assert!(body.is_ok(), "{body:?}");
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{length:09}");
                let _closed = wire.write(answer.as_bytes()).await;
            }
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    assert_eq!(gw.get("b.test", "/").await.status, 404);
    let before = gw.resident();
    let stream = tokio::net::TcpStream::connect(gw.http())
        .await
        .expect("the listener accepts");
    let (mut reader, mut writer) = stream.into_split();
    let (sent, stuck) = (
        tokio::sync::watch::Sender::new(0_u64),
        Bytes::from(vec![b'x'; 1 << 16]),
    );
    let progress = sent.subscribe();
    let upload = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n",
            128 * MIB
        );
        writer.write_all(head.as_bytes()).await.expect("room");
        for _ in 0..(128 * MIB) / (1 << 16) {
            writer.write_all(&stuck).await.expect("room");
            sent.send_modify(|sum| *sum += 1 << 16);
        }
        writer
    });
    // The upload gets stuck: nothing moves between two looks, and little of it is on the way.
    let mut last = u64::MAX;
    harness::until("the upload is stuck", async || {
        let now = *progress.borrow();
        harness::pause(std::time::Duration::from_millis(200)).await;
        let stands = now > 0 && now == last;
        last = now;
        stands
    })
    .await;
    assert!(
        *progress.borrow() < 32 * MIB,
        "{} MiB are on the way",
        *progress.borrow() / MIB
    );
    assert_flat(&gw, before, 24);

    gate.open();
    let _writer = harness::within("the upload to end", upload)
        .await
        .expect("an upload");
    let mut answer = [0; 512];
    let read = tokio::io::AsyncReadExt::read(&mut reader, &mut answer);
    let read = harness::within("the answer", read)
        .await
        .expect("an answer");
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(
        text.starts_with("HTTP/1.1 200") && text.ends_with("134217728"),
        "{text}"
    );
    assert_flat(&gw, before, 24);
}

#[tokio::test]
async fn a_body_can_go_both_ways_at_once() {
    let up = upstream()
        .http2()
        .answer(|_| Reply::of(200, Payload::Mirror))
        .start()
        .await;
    let h2c = ("portcullis.dev/backend-protocol", "H2C");
    let gw = harness::gateway()
        .manifest(
            harness::ingress("web")
                .annotation(h2c.0, h2c.1)
                .host("a.test")
                .path("/", "svc", 80),
        )
        .service("svc", 80, &[&up])
        .start()
        .await;
    let mut connection = gw.connect().await;
    connection
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    connection.send("4\r\nping\r\n").await;
    assert_eq!(connection.head("POST").await.expect("a head").status, 200);
    assert_eq!(
        connection.chunk().await.expect("a chunk"),
        Some(b"ping".to_vec())
    );
    connection.send("4\r\npong\r\n0\r\n\r\n").await;
    assert_eq!(
        connection.chunk().await.expect("a chunk"),
        Some(b"pong".to_vec())
    );
    assert_eq!(connection.chunk().await.expect("the end"), None);
}
