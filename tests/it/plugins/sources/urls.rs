//! Code behind URLs.

use harness::Payload;

use super::*;
use registry::sha256;

/// A server of files: the versions 1 and 2, one that is too long, and ways to them.
async fn files() -> Upstream {
    upstream()
        .answer(|seen| match seen.target.as_str() {
            "/1.wasm" => Reply::of(200, Payload::Sized(stamp("1"))),
            "/2.wasm?token=private" => Reply::of(200, Payload::Sized(stamp("2"))),
            "/moved" => Reply::of(301, Payload::Sized(Vec::new())).header("Location", "1.wasm"),
            "/large" => Reply::of(200, Payload::Many((32 << 20) + 1)),
            "/loop" => Reply::of(302, Payload::Sized(Vec::new())).header("Location", "/loop"),
            "/away" => {
                Reply::of(302, Payload::Sized(Vec::new())).header("Location", "http://a.example/")
            }
            _ => Reply::of(404, Payload::Sized(Vec::new())),
        })
        .start()
        .await
}

fn at(server: &Upstream, path: &str, code: &[u8]) -> PluginBuilder {
    let url = format!("http://{}{path}", server.address());
    from(json!({"url": url})).with("sha256", json!(sha256(code)))
}

#[tokio::test]
async fn a_url_gives_what_its_digest_says() {
    let (up, server, cache) = (upstream().start().await, files().await, cache());
    let gw = with_geo(&up, &cache, at(&server, "/moved", &stamp("1")))
        .start()
        .await;
    until_version(&gw, "1").await;
    gw.apply_plugin(at(&server, "/2.wasm?token=private", &stamp("2")));
    until_version(&gw, "2").await;
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
    for (path, words) in [
        ("/2.wasm?token=private", "is wanted"),
        ("/large", "sends more than 33554432 bytes"),
        ("/loop", "on and on"),
        ("/away", "by https"),
        ("/none", "answers 404"),
    ] {
        gw.apply_plugin(at(&server, path, &stamp("3")));
        let problem = gw.until_problem(&[words, "last good"]).await;
        assert!(!problem.to_string().contains("private"), "{problem}");
        until_version(&gw, "2").await;
    }
    // Nobody listens there.
    let gone = server.stop().await;
    let url = format!("http://{gone}/1.wasm");
    let other = sha256(b"other");
    gw.apply_plugin(from(json!({"url": url})).with("sha256", json!(other)));
    gw.until_problem(&["is not reached", "last good"]).await;
}

#[tokio::test]
async fn a_url_without_digest_or_tls_is_refused() {
    let (up, server, cache) = (upstream().start().await, files().await, cache());
    let gw = with_geo(&up, &cache, at(&server, "/1.wasm", &stamp("1")))
        .start()
        .await;
    until_version(&gw, "1").await;
    gw.apply_plugin(from(json!({"url": "https://a.example/geo.wasm"})));
    gw.until_problem(&["a url needs the sha256"]).await;
    let digest = json!(sha256(b""));
    gw.apply_plugin(from(json!({"url": "http://a.example/geo.wasm"})).with("sha256", digest));
    gw.until_problem(&["no https URL"]).await;
    until_version(&gw, "1").await;
}
