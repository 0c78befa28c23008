//! How big requests may be.

use harness::{Request, Verdict, get, ingress, post, upstream};

/// A GET with so many more fields of so many bytes each.
fn with_fields(count: usize, size: usize) -> Request {
    let fields = (0..count).map(|number| (format!("X-{number}"), "v".repeat(size)));
    fields.fold(get("/").host("a.test"), |asked, (name, value)| {
        asked.header(&name, &value)
    })
}

#[tokio::test]
async fn a_hundred_fields_and_64_kib_pass() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for asked in [
        with_fields(99, 1),
        with_fields(1, 64_000),
        with_fields(63, 1_000),
        with_fields(99, 640),
    ] {
        let sent = asked.bytes().len();
        assert!(sent <= 64 * 1024, "{sent}");
        assert_eq!(gw.send(&asked).await.status, 200, "{sent} bytes");
    }
    let long = format!("/{}?{}", "p".repeat(30_000), "q".repeat(30_000));
    assert_eq!(gw.get("a.test", &long).await.saw().target, long);
    let fields: Vec<_> = (0..90)
        .map(|number| (format!("x-{number}"), "v".repeat(600)))
        .collect();
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        gw.http2()
            .await
            .ask(&fields, "GET", "http://a.test/", None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_431() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for asked in [
        with_fields(1, 2 << 20),
        with_fields(5_000, 1),
        with_fields(2_000, 1_000),
    ] {
        let mut connection = gw.connect().await;
        let answer = connection.ask(&asked).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (431, Some("head-too-large"))
        );
        assert!(connection.rest().await.is_empty());
    }
    let endless = gw
        .send(&get(&format!("/{}", "p".repeat(2 << 20))).host("a.test"))
        .await;
    assert!(matches!(endless.status, 414 | 431), "{}", endless.status);
    let huge = "v".repeat(600_000);
    let answer = gw
        .http2()
        .await
        .ask(&[("x", &huge)], "GET", "http://a.test/", None)
        .await;
    assert!(
        answer.status == 431 || answer.error.is_some(),
        "{}",
        answer.status
    );
    assert!(up.seen().is_empty());
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up)
        .flag("--max-body", "1Ki")
        .start()
        .await;
    assert_eq!(
        gw.send(&post("/", vec![b'x'; 1024]).host("a.test"))
            .await
            .saw()
            .length,
        1024
    );
    let seen = up.seen().len();
    let answer = gw.send(&post("/", vec![b'x'; 1025]).host("a.test")).await;
    assert_eq!(
        (answer.status, answer.reason()),
        (413, Some("body-too-large"))
    );
    assert_eq!(up.seen().len(), seen, "the length alone says so");

    let mut chunked = gw.connect().await;
    chunked
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..3 {
        chunked
            .send(format!("200\r\n{}\r\n", "x".repeat(512)))
            .await;
    }
    chunked.send("0\r\n\r\n").await;
    let answer = chunked.answer("POST").await.expect("an answer");
    assert_eq!(
        (answer.status, answer.reason()),
        (413, Some("body-too-large"))
    );
    assert_eq!(up.complete(), 1);

    let mut h2 = gw.http2().await;
    let answer = h2
        .ask(&[], "POST", "http://a.test/", Some(&[b'x'; 2000]))
        .await;
    assert_eq!(
        (answer.status, answer.reason()),
        (413, Some("body-too-large"))
    );
    assert_eq!(
        h2.ask(&[], "POST", "http://a.test/", Some(&[b'x'; 1000]))
            .await
            .saw()
            .length,
        1000
    );
}

#[tokio::test]
async fn an_ingress_sets_its_own_limit() {
    let up = upstream().start().await;
    let rule = |host: &str| {
        ingress(&host.replace('.', "-"))
            .host(host)
            .path("/", "svc", 80)
    };
    let gw = harness::gateway()
        .service("svc", 80, &[&up])
        .manifest(rule("ours.test").annotation("portcullis.dev/max-body", "1Ki"))
        .manifest(
            rule("nginx.test").annotation("nginx.ingress.kubernetes.io/proxy-body-size", "1k"),
        )
        .manifest(
            rule("both.test")
                .annotation("portcullis.dev/max-body", "4Ki")
                .annotation("nginx.ingress.kubernetes.io/proxy-body-size", "1k"),
        )
        .manifest(rule("zero.test").annotation("nginx.ingress.kubernetes.io/proxy-body-size", "0"))
        .manifest(rule("wrong.test").annotation("portcullis.dev/max-body", "many"))
        .start()
        .await;
    let cases = [
        ("ours.test", 1024, 200),
        ("ours.test", 1025, 413),
        ("nginx.test", 1024, 200),
        ("nginx.test", 1025, 413),
        ("both.test", 4096, 200),
        ("both.test", 4097, 413),
        ("zero.test", 100_000, 200),
        ("wrong.test", 100_000, 200),
    ];
    for (host, size, status) in cases {
        assert_eq!(
            gw.send(&post("/", vec![b'x'; size]).host(host))
                .await
                .status,
            status,
            "{host} {size}"
        );
    }
    gw.until_problem(&["portcullis.dev/max-body", "many"]).await;
}

#[tokio::test]
async fn an_ingress_sets_its_own_patience() {
    let up = upstream().raw(|stream, _| async move {
        let mut wire = harness::Wire::over(stream);
        while wire.some().await.is_ok_and(|piece| !piece.is_empty()) {}
    });
    let up = up.start().await;
    let gw = harness::gateway()
        .service("svc", 80, &[&up])
        .manifest(
            ingress("ours")
                .annotation("portcullis.dev/response-timeout", "200ms")
                .host("ours.test")
                .path("/", "svc", 80),
        )
        .manifest(
            ingress("nginx")
                .annotation("nginx.ingress.kubernetes.io/proxy-read-timeout", "1")
                .host("nginx.test")
                .path("/", "svc", 80),
        )
        .start()
        .await;
    for host in ["ours.test", "nginx.test"] {
        assert_eq!(gw.get(host, "/").await.status, 504, "{host}");
    }
}

#[tokio::test]
async fn too_many_streams_at_once_are_refused_and_the_others_served() {
    let gate = harness::Gate::closed();
    let opened = gate.clone();
    let up = upstream()
        .answer(move |_| harness::Reply::echo().after(&opened))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut frames = gw.frames().await;
    for number in 0..300 {
        frames
            .send(&harness::Frame::get(number * 2 + 1, "a.test", "/"))
            .await;
    }
    // The last is beyond the limit.
    let last = frames.verdict(599).await;
    assert!(
        matches!(last, Verdict::Reset(7) | Verdict::GoAway(_)),
        "{last:?}"
    );
    gate.open();
    if matches!(last, Verdict::Reset(_)) {
        assert_eq!(frames.verdict(1).await, Verdict::Status(200));
    }
    assert!(up.seen().len() <= 250, "{}", up.seen().len());
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_the_others_served() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up)
        .flag("--max-connections", "10")
        .start()
        .await;
    let mut kept = Vec::new();
    for _ in 0..10 {
        let mut connection = gw.connect().await;
        assert_eq!(connection.ask(&get("/").host("a.test")).await.status, 200);
        kept.push(connection);
    }
    for _ in 0..5 {
        let mut refused = gw.connect().await;
        let end = refused.try_ask(&get("/").host("a.test")).await;
        assert!(end.is_err(), "{end:?}");
    }
    for connection in &mut kept {
        assert_eq!(connection.ask(&get("/").host("a.test")).await.status, 200);
    }
    kept.truncate(5);
    harness::until("there is room again", async || {
        let mut connection = gw.connect().await;
        connection.try_ask(&get("/").host("a.test")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn the_limits_of_heads_can_be_set() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up)
        .flag("--max-head-fields", "20")
        .flag("--max-head-size", "4Ki")
        .start()
        .await;
    assert_eq!(gw.send(&with_fields(15, 10)).await.status, 200);
    for asked in [with_fields(25, 1), with_fields(1, 5_000)] {
        let answer = gw.send(&asked).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (431, Some("head-too-large"))
        );
    }
    let mut h2 = gw.http2().await;
    let many: Vec<_> = (0..25).map(|number| (format!("x-{number}"), "v")).collect();
    let many: Vec<_> = many
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let answer = h2.ask(&many, "GET", "http://a.test/", None).await;
    assert_eq!(
        (answer.status, answer.reason()),
        (431, Some("head-too-large"))
    );
    assert_eq!(h2.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_whole_request_can_be_limited() {
    let gate = harness::Gate::closed();
    let up = upstream()
        .answer(move |_| harness::Reply::echo().after(&gate))
        .start()
        .await;
    let gw = crate::in_front_of(&up)
        .flag("--request-timeout", "500ms")
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (504, Some("timeout")));
}
