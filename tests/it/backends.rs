//! Backends that break the protocol: the client learns of it, and nobody else is harmed.

mod http1_0;
mod http2;
mod mutations;

use std::time::{Duration, Instant};

use harness::{Broken, Gateway, Payload, Reply, Upstream, Wire, get, post, request, upstream};
use tokio::net::TcpStream;

/// Heads that are no heads.
#[rustfmt::skip]
const GARBAGE: &[(&str, &[u8])] = &[
    ("nothing", b""),
    ("no HTTP", b"hello\r\n\r\n"),
    ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("ICY", b"ICY 200 OK\r\n\r\n"),
    ("version 2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("no status", b"HTTP/1.1\r\n\r\n"),
    ("a status of letters", b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
    ("a status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("half a status line", b"HTTP/1.1 20"),
    ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le"),
    ("a field without a colon", b"HTTP/1.1 200 OK\r\nX-Bad\r\nContent-Length: 0\r\n\r\n"),
    ("a field without a name", b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n"),
    ("NUL in a value", b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n"),
    ("NUL in a name", b"HTTP/1.1 200 OK\r\nX\0: 1\r\nContent-Length: 0\r\n\r\n"),
    ("a coding of cows", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: cow\r\n\r\nmoo"),
    ("gzip as coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx"),
    ("chunked, then cow", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, cow\r\n\r\n0\r\n\r\n"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    ("a list of lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc"),
    ("a length of letters", b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nabc"),
    ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc"),
    ("a positive length", b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc"),
    ("a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28"),
    ("a page without a head", b"<html>hi</html>"),
    ("version 3", b"HTTP/3 200\r\n\r\n"),
    ("a version in lower case", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 0", b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 99", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a negative status", b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a delimiter in a name", b"HTTP/1.1 200 OK\r\nX(: 1\r\nContent-Length: 0\r\n\r\n"),
    ("a bare CR in a value", b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"),
    ("gzip, chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
    ("chunked, chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nx"),
    ("an empty coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\nx"),
    ("a vertical tab before the coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("a coding in 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ("a coding and a length", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ("a hexadecimal length", b"HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc"),
    ("an empty length", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc"),
    ("a length beyond 64 bits", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc"),
    ("a length with a blank", b"HTTP/1.1 200 OK\r\nContent-Length: 1 3\r\n\r\nabc"),
    ("a switch before the answer", b"HTTP/1.1 101 S\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("only interim responses", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"),
];

/// Bodies that end too early or break.
#[rustfmt::skip]
const CUT: &[(&str, &[u8])] = &[
    ("half of a length", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
    ("nothing of a length", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
    ("half a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello"),
    ("no last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    ("half a last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"),
    ("a broken size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n"),
    ("half the line end of a last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r"),
    ("a negative size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"),
    ("a size beyond 64 bits", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello"),
    ("no line end after a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n"),
    ("an empty size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n"),
    ("a trailer without a colon", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"),
    ("data beyond a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello world\r\n0\r\n\r\n"),
];

/// Whole answers with something after them.
#[rustfmt::skip]
const POISON: &[(&str, &str, &[u8])] = &[
    ("GET", "ok", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    ("GET", "ok", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    ("HEAD", "", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    ("GET", "", b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    ("HEAD", "", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    ("HEAD", "", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    ("GET", "", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    ("GET", "", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
    ("GET", "", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
];

async fn in_front_of(up: &Upstream) -> Gateway {
    crate::in_front_of(up)
        .flag("--response-timeout", "1s")
        .start()
        .await
}

#[tokio::test]
async fn garbage_instead_of_a_head_is_502() {
    let mut wrong = Vec::new();
    let up = upstream()
        .answer(|seen| {
            let number: usize = seen
                .target
                .trim_start_matches('/')
                .parse()
                .expect("a number");
            Reply::of(200, Payload::Raw(GARBAGE[number].1.to_vec()))
        })
        .start()
        .await;
    let gw = in_front_of(&up).await;
    for (number, (what, _)) in GARBAGE.iter().enumerate() {
        let answer = gw.get("a.test", &format!("/{number}")).await;
        if (answer.status, answer.reason()) != (502, Some("bad-response")) {
            wrong.push(format!("{what}: {} {:?}", answer.status, answer.fields));
        }
    }
    assert!(
        wrong.is_empty(),
        "of {}:\n{}",
        GARBAGE.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_looks_cut() {
    let up = upstream()
        .answer(|seen| {
            let number: usize = seen
                .target
                .trim_start_matches('/')
                .parse()
                .expect("a number");
            Reply::of(200, Payload::Raw(CUT[number].1.to_vec()))
        })
        .start()
        .await;
    let gw = in_front_of(&up).await;
    let mut h2 = gw.http2().await;
    for (number, (what, _)) in CUT.iter().enumerate() {
        let path = format!("/{number}");
        match gw.connect().await.try_ask(&get(&path).host("a.test")).await {
            Err(Broken::Truncated | Broken::Closed) => {}
            Ok(answer) => assert_eq!(answer.status, 502, "{what}: {:?}", answer.text()),
            Err(error) => panic!("{what}: {error:?}"),
        }
        let answer = h2.get("a.test", &path).await;
        assert!(
            answer.error.is_some() || answer.status == 502,
            "{what}: {answer:?}"
        );
    }
    // The HTTP/2 connection outlives its broken streams.
    assert_eq!(h2.get("b.test", "/").await.status, 404);
}

#[tokio::test]
async fn what_follows_an_answer_never_answers_another_request() {
    for (number, (method, body, bytes)) in POISON.iter().enumerate() {
        let up = upstream()
            .answer(|seen| match seen.target.as_str() {
                "/victim" => Reply::text("clean"),
                _ => Reply::of(200, Payload::Raw(bytes.to_vec())),
            })
            .start()
            .await;
        let gw = in_front_of(&up).await;
        let mut connection = gw.connect().await;
        let first = connection.ask(&request(method, "/").host("a.test")).await;
        assert_eq!(first.text(), *body, "number {number}");
        for _ in 0..3 {
            assert_eq!(
                gw.get("a.test", "/victim").await.text(),
                "clean",
                "number {number}"
            );
        }
        if let Ok(next) = connection.try_ask(&get("/victim").host("a.test")).await {
            assert_eq!(next.text(), "clean", "number {number}");
        }
    }
}

#[tokio::test]
async fn length_and_coding_together_never_confuse_the_client() {
    let both = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let up = upstream().bytes(both).start().await;
    let gw = in_front_of(&up).await;
    let answer = gw.get("a.test", "/").await;
    // RFC 9112 section 6.3 calls it an error to be handled; the coding may win, the length may not.
    assert!(
        answer.status == 502 || answer.text() == "hello",
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_backend_that_never_answers_is_504() {
    let up = upstream().raw(|stream, _| async move {
        let mut wire = Wire::over(stream);
        while wire.some().await.is_ok_and(|piece| !piece.is_empty()) {}
    });
    let up = up.start().await;
    let gw = in_front_of(&up).await;
    let started = Instant::now();
    for asked in [get("/").host("a.test"), post("/", "x").host("a.test")] {
        let answer = gw.send(&asked).await;
        assert_eq!((answer.status, answer.reason()), (504, Some("timeout")));
    }
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 504);
}

/// Writes a piece again and again until the other side is gone.
async fn drip(stream: TcpStream, first: &'static [u8], again: &'static [u8], pause: Duration) {
    let mut wire = Wire::over(stream);
    let Ok(_head) = wire.head().await else { return };
    let mut open = wire.write(first).await.is_ok();
    while open {
        harness::pause(pause).await;
        open = wire.write(again).await.is_ok();
    }
}

#[tokio::test]
async fn a_head_that_drips_is_504() {
    let pause = Duration::from_millis(50);
    let up = upstream()
        .raw(move |stream, _| drip(stream, b"HTTP/1.1 200 OK\r\nX: ", b"x", pause))
        .start()
        .await;
    let gw = in_front_of(&up).await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (504, Some("timeout")));
}

#[tokio::test]
async fn a_storm_of_interim_responses_ends() {
    let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let up = upstream()
        .raw(move |stream, _| drip(stream, hint, hint, Duration::from_millis(1)))
        .start()
        .await;
    let gw = in_front_of(&up).await;
    let answer = gw.get("a.test", "/").await;
    assert!(
        matches!(answer.status, 502 | 504) && answer.interim.is_empty(),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_body_that_stops_is_cut() {
    let (reply, keep) = Reply::stream(Some(100));
    let slot = std::sync::Mutex::new(Some(reply));
    let up = upstream()
        .answer(move |_| {
            slot.lock()
                .ok()
                .and_then(|mut slot| slot.take())
                .expect("one request")
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up)
        .flag("--idle-timeout", "1s")
        .start()
        .await;
    keep.send(b"hello".to_vec())
        .expect("a backend that listens");
    let broken = gw.connect().await.try_ask(&get("/").host("a.test")).await;
    assert!(matches!(broken, Err(Broken::Truncated)), "{broken:?}");
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_reaches_the_client() {
    let up = upstream()
        .answer(|_| Reply::of(413, Payload::Sized(b"too big".to_vec())).early())
        .start()
        .await;
    let gw = in_front_of(&up).await;
    let mut connection = gw.connect().await;
    connection
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n")
        .await;
    connection.send(vec![b'x'; 1000]).await;
    let answer = connection.answer("POST").await.expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (413, "too big"));
}

#[tokio::test]
async fn a_huge_head_is_502() {
    let huge = format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(4 << 20)
    );
    let up = upstream().bytes(huge).start().await;
    let gw = in_front_of(&up).await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(
        (answer.status, answer.reason()),
        (502, Some("bad-response"))
    );
}

#[tokio::test]
async fn a_reset_within_a_body_looks_cut() {
    let up = upstream().raw(|stream, _| async move {
        stream.set_zero_linger().expect("a TCP socket");
        let mut wire = Wire::over(stream);
        let _head = wire.head().await;
        let _sent = wire
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")
            .await;
    });
    let up = up.start().await;
    let gw = in_front_of(&up).await;
    match gw.connect().await.try_ask(&get("/").host("a.test")).await {
        Ok(answer) => assert_eq!(answer.status, 502),
        Err(error) => assert!(
            matches!(error, Broken::Truncated | Broken::Closed),
            "{error:?}"
        ),
    }
}
