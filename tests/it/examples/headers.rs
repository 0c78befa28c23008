//! Fields that are set, added and removed, each way.

use harness::{GatewayBuilder, PluginBuilder, Reply, Upstream, get, until, upstream};
use serde_json::{Value, json};

use super::through;

fn plugin() -> PluginBuilder {
    harness::plugin("headers", super::headers())
}

fn with(config: &Value, up: &Upstream) -> GatewayBuilder {
    through(plugin(), "headers", config, up)
}

#[tokio::test]
async fn requests_lose_get_and_gain_fields() {
    let up = upstream().start().await;
    let config = json!({"request": {
        "remove": ["X-Debug", "x-none"],
        "set": {"x-team": "cheese", "x-new": "n"},
        "add": {"accept": "text/plain", "x-also": "a"},
    }});
    let gw = with(&config, &up).start().await;
    let request = get("/p?q=1")
        .host("a.test")
        .header("x-debug", "1")
        .header("X-DEBUG", "2")
        .header("X-Team", "mine")
        .header("x-team", "also mine")
        .header("Accept", "text/html");
    let seen = gw.send(&request).await.saw();
    assert_eq!(seen.target, "/p?q=1");
    assert_eq!(seen.all("x-debug"), [""; 0]);
    assert_eq!(seen.all("x-team"), ["cheese"]);
    assert_eq!(seen.all("x-new"), ["n"]);
    assert_eq!(seen.all("accept"), ["text/html", "text/plain"]);
    assert_eq!(seen.all("x-also"), ["a"]);
    assert_eq!(up.violations(), [""; 0]);
}

#[tokio::test]
async fn responses_lose_get_and_gain_fields() {
    let up = upstream()
        .answer(|_| {
            Reply::text("hello")
                .header("Server", "nginx")
                .header("X-Powered-By", "PHP")
                .header("X-Powered-By", "Perl")
                .header("Link", "</a.css>")
                .header("Set-Cookie", "a=1")
        })
        .start()
        .await;
    let config = json!({"response": {
        "remove": ["x-powered-by", "server"],
        "set": {"x-frame-options": "DENY"},
        "add": {"link": "</b.css>", "set-cookie": "b=2"},
    }});
    let gw = with(&config, &up).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.all("x-powered-by"), [""; 0]);
    assert_eq!(answer.all("x-frame-options"), ["DENY"]);
    assert_eq!(answer.all("link"), ["</a.css>", "</b.css>"]);
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    let answer = gw.http2().await.get("a.test", "/").await;
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(answer.header("x-powered-by"), None);
}

#[tokio::test]
async fn answers_of_the_gateway_itself_are_not_changed() {
    let up = upstream().start().await;
    let address = up.stop().await;
    let config = json!({"response": {"set": {"x-frame-options": "DENY"}}});
    let up = upstream().start().await;
    let gw = with(&config, &up)
        .service_at("svc", 80, &[address])
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (502, Some("connect")));
    assert_eq!(answer.header("x-frame-options"), None);
}

#[tokio::test]
async fn the_gateways_own_fields_fail_the_hook() {
    let up = upstream().start().await;
    for field in ["host", "content-length", "x-forwarded-for", "connection"] {
        let config = json!({"request": {"set": {"x-a": "1", field: "x"}}});
        let gw = with(&config, &up).start().await;
        let answer = gw.get("a.test", "/").await;
        assert_eq!(answer.reason(), Some("plugin-trap"), "{field}");
        assert_eq!(answer.status, 503);
        until("the log says why", async || {
            let log = gw.log();
            log.iter()
                .any(|line| line.contains("the field is the gateway's own"))
        })
        .await;
    }
    assert_eq!(up.seen().len(), 0);
}

#[tokio::test]
async fn bytes_that_are_no_text_pass() {
    let up = upstream().start().await;
    let config = json!({"request": {"add": {"x-bytes": "z"}}});
    let gw = with(&config, &up).start().await;
    let request = get("/").host("a.test").header("x-bytes", "caf\u{e9}");
    let seen = gw.send(&request).await.saw();
    assert_eq!(seen.all("x-bytes"), ["caf\u{e9}", "z"]);
}
