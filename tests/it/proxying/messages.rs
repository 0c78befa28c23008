//! HEAD, empty statuses, 1xx, trailers, keep-alive, pipelining.

use harness::{Framing, Payload, Reply, get, post, request, upstream};

#[tokio::test]
async fn head_has_the_fields_of_get_and_no_body() {
    let up = upstream()
        .answer(|_| Reply::text("twelve bytes"))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let head = connection.ask(&request("HEAD", "/").host("a.test")).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("12"))
    );
    // The connection goes on with the next request: nothing was sent as a body.
    assert_eq!(
        connection.ask(&get("/").host("a.test")).await.text(),
        "twelve bytes"
    );
    assert_eq!(up.seen()[0].method, "HEAD");
}

#[tokio::test]
async fn head_of_an_unknown_host_has_no_body_either() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    assert_eq!(
        connection
            .ask(&request("HEAD", "/").host("b.test"))
            .await
            .status,
        404
    );
    assert_eq!(connection.ask(&get("/").host("a.test")).await.status, 200);
}

#[tokio::test]
async fn statuses_without_a_body_stay_so() {
    let up = upstream()
        .answer(|seen| {
            let status = seen
                .target
                .trim_start_matches('/')
                .parse()
                .expect("a status");
            Reply::of(status, Payload::Nothing).header("ETag", "\"x\"")
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    for status in [204, 304] {
        let answer = connection
            .ask(&get(&format!("/{status}")).host("a.test"))
            .await;
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        assert_eq!(
            (answer.header("transfer-encoding"), answer.header("etag")),
            (None, Some("\"x\""))
        );
    }
}

#[tokio::test]
async fn statuses_of_all_kinds_pass() {
    let up = upstream()
        .answer(|seen| {
            let status = seen
                .target
                .trim_start_matches('/')
                .parse()
                .expect("a status");
            Reply::of(status, Payload::Sized(b"x".to_vec()))
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    for status in [
        200, 201, 206, 299, 301, 307, 400, 404, 418, 429, 451, 500, 502, 503, 504, 599,
    ] {
        let answer = gw.get("a.test", &format!("/{status}")).await;
        assert_eq!(
            (answer.status, answer.text().as_str(), answer.reason()),
            (status, "x", None)
        );
    }
}

#[tokio::test]
async fn interim_responses_of_backends_are_dropped() {
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    let up = upstream()
        .answer(move |_| Reply::echo().before(hints))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.interim.as_slice()), (200, &[][..]));
}

#[tokio::test]
async fn a_client_that_expects_to_be_asked_is_asked() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let head =
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head).await;
    let interim = connection
        .exactly(b"HTTP/1.1 100".len())
        .await
        .expect("100 before the body");
    assert_eq!(interim, b"HTTP/1.1 100");
    connection.send("hello").await;
    // What is left of the interim response, then the answer.
    let rest = connection
        .exactly(b" Continue\r\n\r\n".len())
        .await
        .expect("the rest of 100");
    assert!(rest.ends_with(b"\r\n\r\n"));
    assert_eq!(
        connection
            .answer("POST")
            .await
            .expect("an answer")
            .saw()
            .length,
        5
    );
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_served_too() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let answer = connection
        .ask(
            &post("/", "hello")
                .host("a.test")
                .header("Expect", "100-continue"),
        )
        .await;
    assert_eq!(answer.saw().length, 5);
    assert_eq!(connection.ask(&get("/").host("a.test")).await.status, 200);
}

#[tokio::test]
async fn trailers_reach_a_client_that_asked_for_them_only() {
    let trailers = || vec![("X-Sum".to_owned(), "42".to_owned())];
    let up = upstream()
        .answer(move |_| {
            let chunks = vec![b"one".to_vec(), b"two".to_vec()];
            Reply::of(200, Payload::Chunked(chunks, trailers())).header("Trailer", "X-Sum")
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let asked = gw
        .send(
            &get("/")
                .host("a.test")
                .header("TE", "trailers")
                .header("Connection", "TE"),
        )
        .await;
    assert_eq!((asked.text().as_str(), asked.trailers.len()), ("onetwo", 1));
    assert_eq!(asked.trailers[0].1, "42");
    let not = gw.get("a.test", "/").await;
    assert_eq!((not.text().as_str(), not.trailers.len()), ("onetwo", 0));
}

#[tokio::test]
async fn trailers_that_were_not_announced_reach_the_client_too() {
    let up = upstream()
        .answer(|_| {
            let trailers = vec![("X-Sum".to_owned(), "42".to_owned())];
            Reply::of(200, Payload::Chunked(vec![b"x".to_vec()], trailers))
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let answer = gw
        .send(
            &get("/")
                .host("a.test")
                .header("TE", "trailers")
                .header("Connection", "TE"),
        )
        .await;
    // Dropping them is allowed, RFC 9110 section 6.5.1; changing the body is not.
    assert_eq!(answer.text(), "x");
}

#[tokio::test]
async fn trailers_of_a_response_never_frame_or_route() {
    let up = upstream()
        .answer(|_| {
            let names = [
                "X-Sum",
                "Connection",
                "Content-Length",
                "Transfer-Encoding",
                "Set-Cookie",
            ];
            let trailers = names.map(|name| (name.to_owned(), "1".to_owned())).to_vec();
            Reply::of(200, Payload::Chunked(vec![b"x".to_vec()], trailers))
                .header("Trailer", &names.join(", "))
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let answer = gw
        .http2()
        .await
        .ask(&[("te", "trailers")], "GET", "http://a.test/", None)
        .await;
    assert_eq!((answer.body.as_slice(), &answer.error), (&b"x"[..], &None));
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    let asked = get("/")
        .host("a.test")
        .header("TE", "trailers")
        .header("Connection", "TE");
    let answer = gw.send(&asked).await;
    assert!(answer.trailers.len() < 2, "{:?}", answer.trailers);
}

#[tokio::test]
async fn trailers_of_a_request_never_become_fields() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let head =
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    connection
        .send(format!(
            "{head}3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
        ))
        .await;
    let saw = connection.answer("POST").await.expect("an answer").saw();
    assert_eq!(
        (saw.length, saw.header("x-forwarded-for")),
        (3, Some("127.0.0.1"))
    );
    assert!(
        saw.trailers
            .iter()
            .all(|(name, _)| !name.eq_ignore_ascii_case("x-forwarded-for")),
        "{:?}",
        saw.trailers
    );
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_pipelined_ones_in_order() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let batch: Vec<u8> = (0..10)
        .flat_map(|n| get(&format!("/{n}")).host("a.test").bytes())
        .collect();
    connection.send(batch).await;
    for n in 0..10 {
        assert_eq!(
            connection
                .answer("GET")
                .await
                .expect("an answer")
                .saw()
                .target,
            format!("/{n}")
        );
    }
    let last = connection
        .ask(
            &post("/", "abc")
                .host("a.test")
                .header("Connection", "close"),
        )
        .await;
    assert_eq!(last.saw().length, 3);
    assert!(connection.rest().await.is_empty());
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    connection
        .send("GET /x HTTP/1.0\r\nHost: a.test\r\n\r\n")
        .await;
    let answer = connection.answer("GET").await.expect("an answer");
    assert_eq!(
        (answer.status, answer.header("transfer-encoding")),
        (200, None)
    );
    assert!(connection.rest().await.is_empty());
    assert_eq!(up.only().version, "HTTP/1.1");
}

#[tokio::test]
async fn a_chunked_answer_to_http_1_0_ends_with_the_connection() {
    let up = upstream()
        .answer(|_| {
            Reply::of(
                200,
                Payload::Chunked(vec![b"one".to_vec(), b"two".to_vec()], Vec::new()),
            )
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    connection
        .send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        .await;
    let answer = connection.answer("GET").await.expect("an answer");
    assert!(
        matches!(answer.framing, Framing::Close | Framing::Length(6)),
        "{:?}",
        answer.framing
    );
    assert_eq!(answer.text(), "onetwo");
}
