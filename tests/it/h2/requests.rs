//! What HTTP/2 clients can expect.

use harness::{Payload, Reply, gateway, ingress, upstream};
use http::Request;

#[tokio::test]
async fn prior_knowledge_and_alpn_both_work() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let saw = gw.http2().await.get("a.test", "/x?y").await.saw();
    assert_eq!(
        (
            saw.method.as_str(),
            saw.target.as_str(),
            saw.version.as_str()
        ),
        ("GET", "/x?y", "HTTP/1.1")
    );
    assert_eq!(
        (saw.header("host"), saw.header("x-forwarded-proto")),
        (Some("a.test"), Some("http"))
    );
    let saw = gw
        .http2_tls("a.test")
        .await
        .ask(&[], "GET", "https://a.test/x", None)
        .await
        .saw();
    assert_eq!(saw.header("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn many_streams_share_a_connection() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut client = gw.http2().await;
    let mut answers = Vec::new();
    for number in 0..50 {
        let request = Request::get(format!("http://a.test/{number}"))
            .body(())
            .expect("a request");
        answers.push(client.begin(request, true).await.1);
    }
    for answer in answers {
        assert_eq!(
            harness::within("an answer", answer)
                .await
                .expect("an answer")
                .status(),
            200
        );
    }
    assert_eq!(up.seen().len(), 50);
}

#[tokio::test]
async fn bodies_reach_http1_backends_whole() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut client = gw.http2().await;
    let body = vec![b'x'; 300_000];
    for (method, fields) in [
        ("POST", &[("content-length", "300000")][..]),
        ("POST", &[]),
        ("GET", &[]),
        ("DELETE", &[]),
    ] {
        let saw = client
            .ask(fields, method, "http://a.test/", Some(&body))
            .await
            .saw();
        assert_eq!(
            (saw.method.as_str(), saw.length),
            (method, 300_000),
            "{:?}",
            saw.fields
        );
        assert_eq!(
            saw.all("content-length").len() + saw.all("transfer-encoding").len(),
            1,
            "{:?}",
            saw.fields
        );
    }
    let empty = client
        .ask(&[], "POST", "http://a.test/", Some(b""))
        .await
        .saw();
    assert_eq!(empty.length, 0);
    assert!(up.violations().is_empty(), "{:?}", up.violations());
}

#[tokio::test]
async fn cookies_in_pieces_are_joined_and_other_fields_stay_apart() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let fields = [
        ("cookie", "a=1"),
        ("x-many", "1"),
        ("cookie", "b=2"),
        ("x-many", "2"),
        ("te", "trailers"),
    ];
    let saw = gw
        .http2()
        .await
        .ask(&fields, "GET", "http://a.test/", None)
        .await
        .saw();
    assert_eq!(saw.all("cookie"), ["a=1; b=2"]);
    assert_eq!(saw.all("x-many"), ["1", "2"]);
}

#[tokio::test]
async fn answers_have_no_fields_of_http1() {
    let up = upstream()
        .answer(|seen| match seen.target.as_str() {
            "/chunked" => Reply::of(200, Payload::Chunked(vec![b"one".to_vec()], Vec::new()))
                .header("Connection", "x"),
            "/204" => Reply::of(204, Payload::Nothing),
            _ => Reply::text("sized").header("Keep-Alive", "timeout=5"),
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut client = gw.http2().await;
    let sized = client.get("a.test", "/").await;
    assert_eq!(
        (sized.header("content-length"), sized.body.as_slice()),
        (Some("5"), &b"sized"[..])
    );
    let chunked = client.get("a.test", "/chunked").await;
    assert_eq!(
        (chunked.body.as_slice(), chunked.error),
        (&b"one"[..], None)
    );
    for (name, _) in sized.fields.iter().chain(&chunked.fields) {
        assert!(
            !["connection", "keep-alive", "transfer-encoding"].contains(&name.as_str()),
            "{name}"
        );
    }
    assert_eq!(client.get("a.test", "/204").await.status, 204);
    let head = client.ask(&[], "HEAD", "http://a.test/", None).await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some("5"), 0)
    );
}

#[tokio::test]
async fn trailers_of_answers_pass() {
    let up = upstream()
        .answer(|_| {
            let trailers = vec![("X-Sum".to_owned(), "42".to_owned())];
            Reply::of(200, Payload::Chunked(vec![b"x".to_vec()], trailers))
                .header("Trailer", "X-Sum")
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let answer = gw
        .http2()
        .await
        .ask(&[("te", "trailers")], "GET", "http://a.test/", None)
        .await;
    assert_eq!(
        (answer.body.as_slice(), answer.trailer("x-sum")),
        (&b"x"[..], Some("42"))
    );
}

#[tokio::test]
async fn own_answers_carry_their_reason_and_end_their_stream_only() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut client = gw.http2().await;
    let lost = client.get("b.test", "/").await;
    assert_eq!((lost.status, lost.reason()), (404, Some("no-route")));
    let bad = client.get("a.test", "/%00").await;
    assert_eq!((bad.status, bad.reason()), (400, Some("bad-request")));
    assert_eq!(client.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn an_upload_waits_for_a_backend_that_does_not_read() {
    let up = upstream().raw(|stream, _| async move {
        // Holds the connection without reading until the test is over.
        let _stream = stream;
        std::future::pending::<()>().await;
    });
    let up = up.start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut client = gw.http2().await;
    let request = Request::post("http://a.test/").body(()).expect("a request");
    let (mut tunnel, _answer) = client.begin(request, false).await;
    let mut sent = 0_usize;
    let stuck = async {
        loop {
            let room = tunnel.room(16 * 1024).await;
            tunnel.send(&vec![b'x'; room]).await;
            sent += room;
        }
    };
    let still = tokio::time::timeout(std::time::Duration::from_secs(2), stuck).await;
    assert!(
        still.is_err() && sent < 32 << 20,
        "{sent} bytes are on the way"
    );
}

#[tokio::test]
async fn one_stalled_stream_does_not_hold_up_the_others() {
    let (reply, _keep) = Reply::stream(None);
    let slot = std::sync::Mutex::new(Some(reply));
    let up = upstream()
        .answer(move |seen| match seen.target.as_str() {
            "/stalled" => slot
                .lock()
                .ok()
                .and_then(|mut slot| slot.take())
                .expect("one such request"),
            _ => Reply::echo(),
        })
        .start()
        .await;
    let gw = gateway()
        .manifest(ingress("web").host("a.test").path("/", "svc", 80))
        .service("svc", 80, &[&up])
        .start()
        .await;
    let mut client = gw.http2().await;
    let request = Request::get("http://a.test/stalled")
        .body(())
        .expect("a request");
    let (_tunnel, stalled) = client.begin(request, true).await;
    assert_eq!(
        harness::within("a head", stalled)
            .await
            .expect("a head")
            .status(),
        200
    );
    for _ in 0..5 {
        assert_eq!(client.get("a.test", "/").await.status, 200);
    }
}
