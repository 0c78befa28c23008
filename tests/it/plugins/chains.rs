//! Chains: who is called when, and what becomes of answers.

use harness::{Reply, get, plugin, request, upstream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    beside,
    parts::{late, puppet},
    web,
};

const ABC: [(&str, &str); 3] = [
    ("one", r#"{"do":0,"n":"a"}"#),
    ("two", r#"{"do":0,"n":"b"}"#),
    ("three", r#"{"do":0,"n":"c"}"#),
];

#[tokio::test]
async fn request_hooks_run_in_order_and_response_hooks_in_reverse() {
    let up = upstream().start().await;
    let gw = beside(
        &up,
        web("one=puppet, two=puppet,three = default/puppet", &ABC),
    )
    .plugin(plugin("puppet", &puppet()))
    .start()
    .await;
    let answer = gw.get("a.test", "/").await;
    let configs = ABC.map(|(_, config)| config);
    assert_eq!(answer.saw().all("x-chain"), configs);
    let reversed: Vec<_> = configs.into_iter().rev().collect();
    assert_eq!(answer.all("x-back"), reversed);
    // Another protocol, the same chain.
    let over_h2 = gw.http2().await.get("a.test", "/").await;
    assert_eq!(over_h2.saw().all("x-chain"), configs);
    assert_eq!(gw.get("b.test", "/").await.saw().all("x-chain").len(), 0);
    assert_eq!(up.violations(), [""; 0]);
}

#[tokio::test]
async fn an_answer_of_a_filter_meets_the_response_hooks_of_those_that_ran_or_have_no_other() {
    let up = upstream().start().await;
    let mut configs = ABC.to_vec();
    configs[1].1 = r#"{"do":1,"n":"b"}"#;
    configs.push(("late", r#"{"n":"late"}"#));
    let gw = beside(
        &up,
        web("one=puppet, two=puppet, three=puppet, late", &configs),
    )
    .plugin(plugin("puppet", &puppet()))
    .plugin(plugin("late", &late()))
    .start()
    .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "refused"));
    assert_eq!(answer.header("x-by"), Some("the filter"));
    assert_eq!(
        answer.reason(),
        None,
        "it is no answer of the gateway's own"
    );
    let back = [configs[3].1, configs[1].1, configs[0].1];
    assert_eq!(answer.all("x-back"), back);
    assert_eq!(answer.header("content-length"), Some("7"));
    let head = gw.send(&request("HEAD", "/").host("a.test")).await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    let over_h2 = gw.http2().await.get("a.test", "/").await;
    assert_eq!(
        (over_h2.status, over_h2.body.as_slice()),
        (403, &b"refused"[..])
    );
    assert!(up.seen().is_empty(), "{:?}", up.seen());
}

#[tokio::test]
async fn an_answer_without_content_has_none_and_the_connection_goes_on() {
    let up = upstream().start().await;
    let gw = beside(&up, web("puppet", &[("puppet", r#"{"do":5}"#)]))
        .plugin(plugin("puppet", &puppet()))
        .start()
        .await;
    let mut connection = gw.connect().await;
    for _ in 0..2 {
        let answer = connection.ask(&get("/").host("a.test")).await;
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (204, None)
        );
        assert_eq!(answer.all("x-back").len(), 1);
    }
    let body = harness::post("/", "a body that nobody reads").host("a.test");
    assert_eq!(connection.ask(&body).await.status, 204);
    assert_eq!(connection.ask(&get("/").host("b.test")).await.status, 200);
}

#[tokio::test]
async fn what_a_request_hook_changed_before_it_failed_is_undone() {
    let up = upstream().start().await;
    let mut configs = ABC.to_vec();
    configs[1].1 = r#"{"do":2}"#;
    let object = web("one=puppet, two=open, three=puppet", &configs);
    let gw = beside(&up, object)
        .plugin(plugin("puppet", &puppet()))
        .plugin(plugin("open", &puppet()).with("onError", json!("open")))
        .start()
        .await;
    let fields = get("/kept?q").host("a.test").header("X-Mine", "1");
    let saw = gw.send(&fields.header("X-Mine", "2")).await.saw();
    assert_eq!(saw.target, "/kept?q");
    assert_eq!(saw.all("x-mine"), ["1", "2"]);
    assert_eq!(saw.header("x-undone"), None);
    assert_eq!(saw.all("x-chain"), [ABC[0].1, ABC[2].1]);
}

#[tokio::test]
async fn what_a_response_hook_changed_before_it_failed_is_undone() {
    let up = upstream()
        .answer(|_| Reply::text("x").header("X-Mine", "1").header("X-Mine", "2"))
        .start()
        .await;
    let mut configs = ABC.to_vec();
    configs[1].1 = r#"{"do":6}"#;
    let gw = beside(&up, web("one=puppet, two=open, three=puppet", &configs))
        .plugin(plugin("puppet", &puppet()))
        .plugin(plugin("open", &puppet()).with("onError", json!("open")))
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "x"));
    assert_eq!(answer.all("x-mine"), ["1", "2"]);
    assert_eq!(answer.header("x-undone"), None);
    assert_eq!(answer.all("x-back"), [ABC[2].1, ABC[0].1]);
}

#[tokio::test]
async fn a_response_hook_puts_an_answer_in_the_place_of_the_response() {
    let up = upstream().start().await;
    let mut configs = ABC.to_vec();
    configs[1].1 = r#"{"do":7}"#;
    let gw = beside(&up, web("one=puppet, two=puppet, three=puppet", &configs))
        .plugin(plugin("puppet", &puppet()))
        .start()
        .await;
    let mut connection = gw.connect().await;
    for _ in 0..2 {
        let answer = connection.ask(&get("/").host("a.test")).await;
        assert_eq!((answer.status, answer.text().as_str()), (410, "gone"));
        assert_eq!(answer.header("content-length"), Some("4"));
        // Of the response that it replaced nothing is left.
        assert_eq!(answer.all("x-back"), [ABC[0].1]);
        assert_eq!(answer.header("content-type"), None);
    }
    let head = connection.ask(&request("HEAD", "/").host("a.test")).await;
    assert_eq!((head.status, head.body.len()), (410, 0));
    assert_eq!(gw.http2().await.get("a.test", "/").await.body, b"gone");
}

#[tokio::test]
async fn answers_without_a_body_pass_response_hooks() {
    let up = upstream()
        .answer(|seen| match seen.target.as_str() {
            "/none" => Reply::of(204, harness::Payload::Nothing),
            "/same" => Reply::of(304, harness::Payload::Nothing).header("ETag", "\"1\""),
            _ => Reply::text("0123456789"),
        })
        .start()
        .await;
    let gw = beside(&up, web("one=puppet", &ABC[..1]))
        .plugin(plugin("puppet", &puppet()))
        .start()
        .await;
    for (path, status) in [("/none", 204), ("/same", 304)] {
        let answer = gw.get("a.test", path).await;
        assert_eq!((answer.status, answer.all("x-back").len()), (status, 1));
    }
    let mut connection = gw.connect().await;
    let head = connection.ask(&request("HEAD", "/x").host("a.test")).await;
    assert_eq!((head.status, head.all("x-back").len()), (200, 1));
    assert_eq!(head.header("content-length"), Some("10"));
    assert_eq!(connection.ask(&get("/x").host("a.test")).await.status, 200);
}

#[tokio::test]
async fn an_upgrade_goes_through_a_chain_with_response_hooks() {
    let up = upstream()
        .answer(|_| Reply::upgrade("websocket"))
        .start()
        .await;
    let gw = beside(&up, web("one=puppet, two=puppet", &ABC[..2]))
        .plugin(plugin("puppet", &puppet()))
        .start()
        .await;
    let mut connection = gw.connect().await;
    let asked = get("/ws")
        .host("a.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    let answer = connection.ask(&asked).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.all("x-back"), [ABC[1].1, ABC[0].1]);
    assert_eq!(up.only().all("x-chain").len(), 2);
    let mut stream = connection.into_stream();
    stream.write_all(b"ping").await.expect("an open tunnel");
    let mut back = [0; 4];
    harness::within("an echo", stream.read_exact(&mut back))
        .await
        .expect("an open tunnel");
    assert_eq!(&back, b"ping");
}

#[tokio::test]
async fn a_challenge_passes_filters_only_where_a_rule_names_its_path() {
    let path = "/.well-known/acme-challenge/token";
    let up = upstream().start().await;
    let closed = web("puppet", &[("puppet", r#"{"do":1}"#)]);
    let gw = beside(&up, closed.clone())
        .plugin(plugin("puppet", &puppet()))
        .start()
        .await;
    assert_eq!(gw.get("a.test", path).await.status, 403, "the rule is /");
    gw.apply(closed.path("/.well-known/acme-challenge", "svc", 80));
    gw.until_status("a.test", path, 200).await;
    for other in ["/", "/.well-known/acme", "/.well-known/acme-challenge/../x"] {
        assert_eq!(gw.get("a.test", other).await.status, 403, "{other}");
    }
}
