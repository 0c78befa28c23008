//! Requests over HTTP/2 that RFC 9113 section 8 forbids, or that would be something else in HTTP/1.1.

use harness::{Frame, Gateway, Upstream, Verdict, upstream};

type Fields = &'static [(&'static str, &'static str)];

/// What is wrong, the fields after `:method POST, :scheme http, :authority a.test, :path /` where
/// these are not given, and the body.
struct Case(&'static str, Fields, &'static str);

const OK: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "a.test"),
    (":path", "/"),
];

/// Adds fields to a good request, replacing its pseudo-fields.
#[rustfmt::skip]
const ADDED: &[Case] = &[
    Case("upper case in a name", &[("X-Bad", "1")], ""),
    Case("a blank in a name", &[("x bad", "1")], ""),
    Case("a quote in a name", &[("x\"y", "1")], ""),
    Case("a colon in a name", &[("x:bad", "1")], ""),
    Case("an empty name", &[("", "1")], ""),
    Case("a line end in a name", &[("x\r\ny", "1")], ""),
    Case("NUL in a name", &[("x\0y", "1")], ""),
    Case("a field in a name", &[("x: 1\r\nhost", "b.test")], ""),
    Case("a line end in a value", &[("x", "1\r\ny: 2")], ""),
    Case("LF in a value", &[("x", "1\ny: 2")], ""),
    Case("CR in a value", &[("x", "1\ry: 2")], ""),
    Case("NUL in a value", &[("x", "1\0")], ""),
    Case("a whole request in a value", &[("x", "1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")], ""),
    Case("connection", &[("connection", "close")], ""),
    Case("keep-alive", &[("keep-alive", "timeout=5")], ""),
    Case("proxy-connection", &[("proxy-connection", "keep-alive")], ""),
    Case("transfer-encoding", &[("transfer-encoding", "chunked")], "0\r\n\r\n"),
    Case("transfer-encoding beside a length", &[("transfer-encoding", "chunked"), ("content-length", "5")], "0\r\n\r\n"),
    Case("upgrade", &[("upgrade", "websocket")], ""),
    Case("te of something else", &[("te", "gzip")], ""),
    Case("an unknown pseudo-field", &[(":bad", "1")], ""),
    Case("a pseudo-field of answers", &[(":status", "200")], ""),
    Case("a pseudo-field after a field", &[("x", "1"), (":path", "/y")], ""),
    Case("two methods", &[(":method", "GET"), (":method", "POST")], ""),
    Case("two paths", &[(":path", "/"), (":path", "/x")], ""),
    Case("two schemes", &[(":scheme", "http"), (":scheme", "http")], ""),
    Case("two authorities", &[(":authority", "a.test"), (":authority", "b.test")], ""),
    Case("an empty path", &[(":path", "")], ""),
    Case("a relative path", &[(":path", "x")], ""),
    Case("an absolute path", &[(":path", "http://a.test/")], ""),
    Case("the asterisk", &[(":path", "*")], ""),
    Case("a blank in the path", &[(":path", "/ HTTP/1.1")], ""),
    Case("a line end in the path", &[(":path", "/ HTTP/1.1\r\nHost: a.test\r\n\r\nGET /x")], ""),
    Case("a tab in the path", &[(":path", "/\tx")], ""),
    Case("NUL in the path", &[(":path", "/\0")], ""),
    Case("a path that climbs", &[(":path", "/../x")], ""),
    Case("an encoded NUL", &[(":path", "/%00")], ""),
    Case("a broken encoding", &[(":path", "/%zz")], ""),
    Case("a backslash", &[(":path", "/\\x")], ""),
    Case("an empty method", &[(":method", "")], ""),
    Case("a blank in the method", &[(":method", "GET /x")], ""),
    Case("a line end in the method", &[(":method", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET")], ""),
    Case("a scheme with a line end", &[(":scheme", "http\r\nx: y")], ""),
    Case("a scheme with a target", &[(":scheme", "http://b.test/?")], ""),
    Case("an empty authority", &[(":authority", "")], ""),
    Case("user information", &[(":authority", "u@a.test")], ""),
    Case("a list of authorities", &[(":authority", "a.test,b.test")], ""),
    Case("a port of letters", &[(":authority", "a.test:x")], ""),
    Case("a port too great", &[(":authority", "a.test:65536")], ""),
    Case("a path in the authority", &[(":authority", "a.test/x")], ""),
    Case("a blank in the authority", &[(":authority", "a.test b.test")], ""),
    Case("a line end in the authority", &[(":authority", "a.test\r\nx: y")], ""),
    Case("a backslash in the authority", &[(":authority", "a.test\\x")], ""),
    Case("host of another name", &[("host", "b.test")], ""),
    Case("two hosts", &[("host", "a.test"), ("host", "a.test")], ""),
    Case("a broken host", &[("host", "a.test/x")], ""),
    Case("a length and no body", &[("content-length", "5")], ""),
    Case("a length too great", &[("content-length", "5")], "abc"),
    Case("a length too small", &[("content-length", "3")], "abcdef"),
    Case("length 0 and a body", &[("content-length", "0")], "abc"),
    Case("two lengths", &[("content-length", "3"), ("content-length", "4")], "abc"),
    Case("a list of lengths", &[("content-length", "3, 4")], "abc"),
    Case("a positive length", &[("content-length", "+3")], "abc"),
    Case("a hexadecimal length", &[("content-length", "0x3")], "abc"),
    Case("an empty length", &[("content-length", "")], "abc"),
    Case("a length with a line end", &[("content-length", "3\r\nx: y")], "abc"),
    Case("CONNECT with a path", &[(":method", "CONNECT")], ""),
];

/// Whole requests.
#[rustfmt::skip]
const WHOLE: &[Case] = &[
    Case("no method", &[(":scheme", "http"), (":authority", "a.test"), (":path", "/")], ""),
    Case("no path", &[(":method", "GET"), (":scheme", "http"), (":authority", "a.test")], ""),
    Case("no scheme", &[(":method", "GET"), (":authority", "a.test"), (":path", "/")], ""),
    Case("no authority and no host", &[(":method", "GET"), (":scheme", "http"), (":path", "/")], ""),
    Case("nothing", &[], ""),
    Case("CONNECT", &[(":method", "CONNECT"), (":authority", "a.test:443")], ""),
    Case("a protocol without CONNECT", &[(":method", "GET"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")], ""),
];

fn complete(case: &Case) -> Vec<(&'static str, &'static str)> {
    let given = |name: &str| case.1.iter().any(|field| field.0 == name);
    let first_regular = case
        .1
        .first()
        .is_some_and(|field| !field.0.starts_with(':'));
    let rest = OK
        .iter()
        .filter(|field| !given(field.0) || first_regular)
        .copied();
    let (pseudo, other): (Vec<_>, Vec<_>) = case
        .1
        .iter()
        .copied()
        .partition(|f| f.0.starts_with(':') && !first_regular);
    rest.chain(pseudo).chain(other).collect()
}

async fn verdict(gw: &Gateway, fields: &[(&str, &str)], body: &str) -> Verdict {
    let mut frames = gw.frames().await;
    frames
        .send(&Frame::headers(1, fields, body.is_empty()))
        .await;
    if !body.is_empty() {
        frames.send(&Frame::data(1, body, true)).await;
    }
    let verdict = frames.verdict(1).await;
    // What is refused by itself leaves the connection to others.
    if matches!(verdict, Verdict::Status(_)) {
        frames.send(&Frame::get(3, "b.test", "/")).await;
        assert_eq!(
            frames.verdict(3).await,
            Verdict::Status(404),
            "after {fields:?}"
        );
    }
    verdict
}

async fn start() -> (Gateway, Upstream) {
    let up = upstream().start().await;
    (crate::in_front_of(&up).start().await, up)
}

#[tokio::test]
async fn forbidden_requests_are_refused_and_never_complete_at_a_backend() {
    let (gw, up) = start().await;
    let mut wrong = Vec::new();
    let added = ADDED.iter().map(|case| (case, complete(case)));
    for (case, fields) in added.chain(WHOLE.iter().map(|case| (case, case.1.to_vec()))) {
        match verdict(&gw, &fields, case.2).await {
            Verdict::Status(400) | Verdict::Reset(_) | Verdict::GoAway(_) | Verdict::Closed => {}
            Verdict::Status(status) => wrong.push(format!("{}: {status}", case.0)),
        }
    }
    assert!(
        wrong.is_empty(),
        "of {}:\n{}",
        ADDED.len() + WHOLE.len(),
        wrong.join("\n")
    );
    assert_eq!(up.complete(), 0, "{:?}", up.seen());
    let malformed: Vec<_> = up
        .violations()
        .into_iter()
        .filter(|v| v.contains("Malformed"))
        .collect();
    assert!(malformed.is_empty(), "{malformed:?}");
    // Only what is wrong with a body may show after its head was forwarded.
    let early: Vec<_> = up
        .seen()
        .into_iter()
        .filter(|seen| seen.header("content-length").is_none())
        .collect();
    assert!(early.is_empty(), "{early:?}");
}

#[tokio::test]
async fn allowed_requests_work() {
    let (gw, up) = start().await;
    #[rustfmt::skip]
    let whole: &[(&str, Fields, &str)] = &[
        ("a host instead of an authority", &[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a.test")], ""),
        ("both alike", &[(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("host", "a.test")], ""),
        ("te: trailers", &[(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("te", "trailers")], ""),
        ("scheme https", &[(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")], ""),
        ("a port", &[(":method", "GET"), (":scheme", "http"), (":authority", "a.test:8080"), (":path", "/")], ""),
        ("length 0", &[(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("content-length", "0")], ""),
        ("a length", &[(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("content-length", "3")], "abc"),
        ("no length", &[(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")], "abc"),
        ("GET with a body", &[(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")], "abc"),
        ("a query", &[(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/x?a=/../b&c=%00")], ""),
        ("pseudo-fields in any order", &[(":path", "/"), (":authority", "a.test"), (":scheme", "http"), (":method", "GET")], ""),
        ("an empty value", &[(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"), ("x", "")], ""),
    ];
    for (what, fields, body) in whole {
        up.forget();
        assert_eq!(
            verdict(&gw, fields, body).await,
            Verdict::Status(200),
            "{what}"
        );
        let saw = up.only();
        assert_eq!(
            (saw.length, saw.all("host").len()),
            (u64::try_from(body.len()).expect("short"), 1),
            "{what}"
        );
    }
    assert!(up.violations().is_empty(), "{:?}", up.violations());
}

#[tokio::test]
async fn broken_trailers_are_refused() {
    let (gw, up) = start().await;
    let broken: [Fields; 6] = [
        &[("X-Upper", "1")],
        &[("x", "1\r\ny: 2")],
        &[("x y", "1")],
        &[(":path", "/x")],
        &[("content-length", "3")],
        &[("proxy-authorization", "x")],
    ];
    for trailers in broken {
        let mut frames = gw.frames().await;
        frames.send(&Frame::headers(1, &OK, false)).await;
        frames.send(&Frame::data(1, "abc", false)).await;
        frames.send(&Frame::headers(1, trailers, true)).await;
        let verdict = frames.verdict(1).await;
        assert!(
            !matches!(verdict, Verdict::Status(200)),
            "{trailers:?}: {verdict:?}"
        );
    }
    let mut endless = gw.frames().await;
    endless.send(&Frame::headers(1, &OK, false)).await;
    endless.send(&Frame::headers(1, &[("x", "1")], false)).await;
    assert!(!matches!(endless.verdict(1).await, Verdict::Status(200)));
    assert_eq!(up.complete(), 0, "{:?}", up.seen());
}

/// What the HTTP/2 library takes off before the gateway sees it must not reach a backend either.
#[tokio::test]
async fn fragments_and_quotes_of_names_never_pass() {
    let (gw, up) = start().await;
    for (path, expected) in [("/x#y", "/x"), ("#x", "/"), ("#x?y", "/"), ("?y", "/?y")] {
        up.forget();
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a.test"),
            (":path", path),
        ];
        if verdict(&gw, &fields, "").await == Verdict::Status(200) {
            assert_eq!(up.only().target, expected, "{path}");
        }
        assert!(up.violations().is_empty(), "{path}: {:?}", up.violations());
    }
    up.forget();
    let mut frames = gw.frames().await;
    frames.send(&Frame::headers(1, &OK, false)).await;
    frames.send(&Frame::data(1, "abc", false)).await;
    frames
        .send(&Frame::headers(1, &[("x\"y", "1")], true))
        .await;
    assert_ne!(frames.verdict(1).await, Verdict::Status(200));
    assert!(
        up.violations().iter().all(|v| v == "Truncated"),
        "{:?}",
        up.violations()
    );
}
