//! HTTP/2 towards backends: GRPC and H2C, and TLS towards them.

use harness::{Gateway, Payload, Reply, Seen, Upstream, gateway, ingress, upstream};
use http::Request;

async fn speaking(protocol: &str, up: &Upstream) -> Gateway {
    gateway()
        .manifest(
            ingress("web")
                .annotation("portcullis.dev/backend-protocol", protocol)
                .host("a.test")
                .path("/", "svc", 80),
        )
        .service("svc", 80, &[up])
        .start()
        .await
}

/// A method of a gRPC service.
fn rpc(gw: &Gateway) -> Request<()> {
    let uri = format!("http://a.test/pkg.Service/Method?{}", gw.http().port());
    let request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    request.body(()).expect("a request")
}

/// Echoes as a gRPC server would.
fn grpc_answer(seen: &Seen) -> Reply {
    match seen.target.split('?').next() {
        Some("/pkg.Service/Method") => {
            Reply::of(200, Payload::Mirror).header("content-type", "application/grpc")
        }
        _ => Reply::of(200, Payload::Nothing)
            .header("content-type", "application/grpc")
            .header("grpc-status", "12")
            .header("grpc-message", "unimplemented"),
    }
}

#[tokio::test]
async fn a_call_passes_with_its_trailers() {
    let up = upstream().http2().answer(grpc_answer).start().await;
    let gw = speaking("GRPC", &up).await;
    let mut client = gw.http2().await;
    let answer = client
        .ask_with_trailers(rpc(&gw), b"\0\0\0\0\x05hello", &[])
        .await;
    assert_eq!((answer.status, answer.error.as_deref()), (200, None));
    assert_eq!(answer.body, b"\0\0\0\0\x05hello");
    assert_eq!(answer.trailer("grpc-status"), Some("0"));
    let saw = up.only();
    assert_eq!(
        (saw.version.as_str(), saw.header("te")),
        ("HTTP/2", Some("trailers"))
    );
    assert_eq!(saw.header(":authority"), Some("a.test"));
}

#[tokio::test]
async fn a_call_streams_both_ways() {
    let up = upstream().http2().answer(grpc_answer).start().await;
    let gw = speaking("GRPC", &up).await;
    let mut client = gw.http2().await;
    let (mut tunnel, response) = client.begin(rpc(&gw), false).await;
    tunnel.send(b"one").await;
    let response = harness::within("the head before the end of the body", response)
        .await
        .expect("a head");
    let mut body = response.into_body();
    let mut expect = async |bytes: &[u8]| {
        let piece = harness::within("a piece", body.data())
            .await
            .expect("a piece")
            .expect("no reset");
        body.flow_control()
            .release_capacity(piece.len())
            .expect("an open stream");
        assert_eq!(piece, bytes);
    };
    expect(b"one").await;
    tunnel.send(b"two").await;
    expect(b"two").await;
    tunnel.finish();
    let trailers = harness::within("trailers", async {
        while body.data().await.is_some() {}
        body.trailers().await
    })
    .await;
    assert_eq!(
        trailers.expect("no reset").expect("trailers")["grpc-status"],
        "0"
    );
}

#[tokio::test]
async fn a_trailers_only_answer_stays_one() {
    let up = upstream().http2().answer(grpc_answer).start().await;
    let gw = speaking("GRPC", &up).await;
    let mut client = gw.http2().await;
    let answer = client
        .ask(
            &[("te", "trailers")],
            "POST",
            "http://a.test/pkg.Service/Other",
            Some(b""),
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (200, Some("12"))
    );
    assert_eq!((answer.error.as_deref(), answer.body.len()), (None, 0));
}

#[tokio::test]
async fn trailers_of_requests_pass_from_http2_to_http2() {
    let up = upstream().http2().start().await;
    let gw = speaking("H2C", &up).await;
    let mut client = gw.http2().await;
    let request = Request::post("http://a.test/").body(()).expect("a request");
    let saw = client
        .ask_with_trailers(request, b"abc", &[("x-sum", "42")])
        .await
        .saw();
    assert_eq!((saw.length, saw.trailers.len()), (3, 1));
}

#[tokio::test]
async fn http1_clients_reach_http2_backends() {
    let up = upstream().http2().start().await;
    let gw = speaking("H2C", &up).await;
    let saw = gw.get("a.test", "/x?y").await.saw();
    assert_eq!(
        (saw.version.as_str(), saw.target.as_str()),
        ("HTTP/2", "/x?y")
    );
    let posted = gw
        .send(&harness::post("/", "hello").host("a.test"))
        .await
        .saw();
    assert_eq!(
        (posted.length, posted.header("content-length")),
        (5, Some("5"))
    );
}

#[tokio::test]
async fn one_connection_carries_many_streams_to_a_backend() {
    let up = upstream().http2().start().await;
    let gw = speaking("H2C", &up).await;
    for _ in 0..20 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
    }
    assert!(up.connections() <= 2, "{} connections", up.connections());
}

#[tokio::test]
async fn https_backends_are_reached_without_verifying_them() {
    let up = upstream().tls().start().await;
    let gw = speaking("HTTPS", &up).await;
    let saw = gw.get("a.test", "/x").await.saw();
    assert_eq!(
        (saw.target.as_str(), saw.header("x-forwarded-proto")),
        ("/x", Some("http"))
    );
    assert_eq!(
        gw.send(&harness::post("/", "hello").host("a.test"))
            .await
            .saw()
            .length,
        5
    );
}

#[tokio::test]
async fn the_nginx_key_for_the_protocol_works_too() {
    let up = upstream().http2().answer(grpc_answer).start().await;
    let gw = gateway()
        .manifest(
            ingress("web")
                .annotation("nginx.ingress.kubernetes.io/backend-protocol", "GRPC")
                .host("a.test")
                .path("/", "svc", 80),
        )
        .service("svc", 80, &[&up])
        .start()
        .await;
    let mut client = gw.http2().await;
    let answer = client.ask_with_trailers(rpc(&gw), b"x", &[]).await;
    assert_eq!(
        (answer.status, answer.trailer("grpc-status")),
        (200, Some("0"))
    );
}

#[tokio::test]
async fn a_wrong_protocol_is_a_problem_and_http_goes_on() {
    let up = upstream().start().await;
    let gw = speaking("SPDY", &up).await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    gw.until_problem(&["backend-protocol", "SPDY"]).await;
}
