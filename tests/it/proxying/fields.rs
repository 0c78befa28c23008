//! Fields pass unchanged, but for those of one hop.

use harness::{Reply, get, post, request, upstream};

#[tokio::test]
async fn fields_reach_the_backend_apart_and_in_order() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let fields = [
        ("X-One", "1"),
        ("accept", "text/html"),
        ("X-Many", "a"),
        ("Cookie", "a=1; b=2"),
        ("X-Many", "b, c"),
        ("X-Empty", ""),
        ("X-many", "d"),
        ("User-Agent", "curl/8"),
        ("X-Latin", "caf\u{e9}"),
        ("X_Under", "score"),
    ];
    let asked = fields
        .iter()
        .fold(get("/").host("a.test"), |asked, (name, value)| {
            asked.header(name, value)
        });
    let saw = gw.send(&asked).await.saw();
    for name in [
        "x-one",
        "accept",
        "x-many",
        "cookie",
        "x-empty",
        "user-agent",
        "x-latin",
        "x_under",
    ] {
        let sent: Vec<_> = fields
            .iter()
            .filter(|f| f.0.eq_ignore_ascii_case(name))
            .map(|f| f.1)
            .collect();
        assert_eq!(saw.all(name), sent, "{name}");
    }
    let order: Vec<_> = saw.all("x-many").iter().map(|v| (*v).to_owned()).collect();
    assert_eq!(order, ["a", "b, c", "d"]);
}

#[tokio::test]
async fn fields_reach_the_client_apart_and_in_order() {
    let up = upstream()
        .answer(|_| {
            Reply::text("x")
                .header("Set-Cookie", "a=1; Path=/")
                .header("X-Other", "caf\u{e9}")
                .header("Set-Cookie", "b=2")
                .header("Vary", "Accept")
                .header("Vary", "Cookie")
                .header("ETag", "\"x\"")
                .header("Server", "Apache/1.3")
                .header("Date", "Tue, 15 Nov 1994 08:12:31 GMT")
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(answer.all("set-cookie"), ["a=1; Path=/", "b=2"]);
    assert_eq!(answer.all("vary"), ["Accept", "Cookie"]);
    assert_eq!(answer.header("x-other"), Some("caf\u{e9}"));
    assert_eq!(answer.header("etag"), Some("\"x\""));
    assert_eq!(answer.header("server"), Some("Apache/1.3"));
    assert_eq!(answer.header("date"), Some("Tue, 15 Nov 1994 08:12:31 GMT"));
}

#[tokio::test]
async fn server_and_date_are_added_where_the_backend_sent_none() {
    let up = upstream().answer(|_| Reply::text("x")).start().await;
    let gw = crate::in_front_of(&up).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(answer.header("server"), Some("portcullis"));
    assert!(
        answer
            .header("date")
            .is_some_and(|date| date.ends_with(" GMT")),
        "{:?}",
        answer.fields
    );
    let own = gw.get("unknown.test", "/").await;
    assert_eq!(own.status, 404);
    assert!(own.header("date").is_some(), "{:?}", own.fields);
}

/// CGI reads `_` and `-` alike.
#[tokio::test]
async fn no_underscore_stands_in_for_a_field_of_the_gateway() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let twins = [
        "X_Forwarded_For",
        "X-Forwarded_Proto",
        "x_real-ip",
        "Forwarded_",
        "X_Request_Id",
        "Content_Length",
        "Transfer_Encoding",
        "Proxy_Connection",
    ];
    let asked = twins.iter().fold(get("/").host("a.test"), |asked, name| {
        asked.header(name, "7")
    });
    let saw = gw.send(&asked).await.saw();
    let kept: Vec<_> = twins
        .iter()
        .filter(|name| saw.header(name).is_some())
        .collect();
    assert_eq!(kept, [&"Forwarded_"], "{:?}", saw.fields);
}

#[tokio::test]
async fn fields_of_one_hop_stay_on_their_hop() {
    let up = upstream()
        .answer(|_| {
            let reply = Reply::echo()
                .header("Connection", "X-Reply-Hop")
                .header("X-Reply-Hop", "1");
            reply
                .header("Keep-Alive", "timeout=5")
                .header("Proxy-Connection", "keep-alive")
                .header("X-Stays", "1")
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let asked = get("/")
        .host("a.test")
        .header("Connection", "keep-alive, X-Hop,x-other-hop")
        .header("X-Hop", "1")
        .header("X-Other-Hop", "1")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("TE", "trailers, deflate")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAP__")
        .header("X-Stays", "1");
    let answer = gw.send(&asked).await;
    let saw = answer.saw();
    for name in [
        "x-hop",
        "x-other-hop",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(saw.header(name), None, "{:?}", saw.fields);
    }
    assert!(
        saw.all("te").iter().all(|te| *te == "trailers"),
        "{:?}",
        saw.fields
    );
    assert!(
        saw.all("connection")
            .iter()
            .all(|c| !c.to_lowercase().contains("hop")),
        "{:?}",
        saw.fields
    );
    assert_eq!(saw.header("x-stays"), Some("1"));
    for name in ["x-reply-hop", "keep-alive", "proxy-connection"] {
        assert_eq!(answer.header(name), None, "{:?}", answer.fields);
    }
    assert!(
        answer
            .all("connection")
            .iter()
            .all(|c| !c.to_lowercase().contains("hop")),
        "{:?}",
        answer.fields
    );
    assert_eq!(answer.header("x-stays"), Some("1"));
}

/// A response is not refused for it, and nothing else stays for it.
#[tokio::test]
async fn a_response_whose_connection_names_needed_fields_keeps_these_only() {
    let up = upstream()
        .answer(|_| {
            Reply::text("hello")
                .header("Content-Type", "text/plain")
                .header("Connection", "Content-Type, content-length, X-Hop, \"x\"")
                .header("X-Hop", "1")
                .header("Keep-Alive", "timeout=5")
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(
        (answer.text().as_str(), answer.header("content-type")),
        ("hello", Some("text/plain"))
    );
    for name in ["connection", "x-hop", "keep-alive"] {
        assert_eq!(answer.header(name), None, "{:?}", answer.fields);
    }
    let answer = gw.http2().await.get("a.test", "/").await;
    assert_eq!(
        (answer.header("content-type"), answer.header("x-hop")),
        (Some("text/plain"), None)
    );
}

/// RFC 9110 section 7.6.2.
#[tokio::test]
async fn options_and_trace_go_as_far_as_they_may() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let ask = |method: &str, left: &str| {
        let asked = request(method, "/").host("a.test");
        asked.header("Max-Forwards", left)
    };
    for (method, left, forwarded) in [
        ("OPTIONS", "1", Some("0")),
        ("TRACE", "10", Some("9")),
        ("OPTIONS", "many", Some("many")),
        ("GET", "0", Some("0")),
    ] {
        let saw = gw.send(&ask(method, left)).await.saw();
        assert_eq!(saw.header("max-forwards"), forwarded, "{method} {left}");
    }
    up.forget();
    assert_eq!(gw.send(&ask("OPTIONS", "0")).await.status, 200);
    assert_eq!(gw.send(&ask("TRACE", "0")).await.status, 400);
    let with_body = request("TRACE", "/")
        .host("a.test")
        .header("Content-Length", "3")
        .body("abc");
    assert_eq!(gw.send(&with_body).await.status, 400);
    assert!(up.seen().is_empty(), "{:?}", up.seen());
}

#[tokio::test]
async fn naming_needed_fields_in_connection_does_not_remove_them() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let asked = post("/", "abc")
        .host("a.test")
        .header("Connection", "close, host, content-length, x-forwarded-for");
    let answer = gw.send(&asked).await;
    // Refusing such a request is as good as keeping the fields.
    if answer.status == 200 {
        let saw = answer.saw();
        assert_eq!((saw.header("host"), saw.length), (Some("a.test"), 3));
        assert_eq!(saw.header("x-forwarded-for"), Some("127.0.0.1"));
    } else {
        assert_eq!((answer.status, up.seen().len()), (400, 0));
    }
}

#[tokio::test]
async fn methods_of_all_kinds_pass() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for method in [
        "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "QUERY", "M-SEARCH", "get",
    ] {
        let answer = gw
            .send(
                &request(method, "/")
                    .host("a.test")
                    .header("Content-Length", "0"),
            )
            .await;
        assert_eq!(answer.saw().method, method);
    }
}

#[tokio::test]
async fn a_request_id_is_made_for_each_request() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let asked = get("/").host("a.test").header("X-Request-ID", "mine");
    let first = gw
        .send(&asked)
        .await
        .saw()
        .header("x-request-id")
        .map(str::to_owned);
    let second = gw
        .send(&asked)
        .await
        .saw()
        .header("x-request-id")
        .map(str::to_owned);
    assert!(
        first.is_some() && first != second && first.as_deref() != Some("mine"),
        "{first:?} {second:?}"
    );

    let trusting = crate::in_front_of(&up)
        .flag("--trusted-proxies", "127.0.0.0/8")
        .start()
        .await;
    assert_eq!(
        trusting.send(&asked).await.saw().header("x-request-id"),
        Some("mine")
    );
}

#[tokio::test]
async fn trailers_of_one_hop_and_those_that_claim_an_origin_stay_here() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let sent = async |connection: &str| {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nConnection: {connection}\r\n\
             Trailer: X-Sum, X-Hop, X-Real-IP, X_Real_IP\r\n\r\n"
        );
        let body = "1\r\nx\r\n0\r\nX-Sum: 1\r\nX-Hop: 2\r\nX-Real-IP: 3\r\nX_Real_IP: 4\r\n\r\n";
        let mut client = gw.connect().await;
        client.send(format!("{head}{body}")).await;
        let answer = client.answer("POST").await.expect("an answer");
        let trailers = answer.saw().trailers;
        trailers
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(sent("TE").await, ["x-sum", "x-hop"]);
    assert_eq!(sent("x-hop").await, [] as [&str; 0]);
}
