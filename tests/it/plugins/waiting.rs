//! Filters that ask other servers: only where they may, and never for longer than their client.

use std::time::Duration;

use harness::{Connection, Gate, GatewayBuilder, Reply, Upstream, get, plugin, upstream};
use serde_json::json;

use super::{
    beside,
    parts::{DROP, Kit, VERDICT},
    web,
};
use crate::guests::Guest;

/// Asks for a URL and answers with what came; 500 and the number of the error where nothing did.
fn asking(url: &str, timeout: u32) -> Vec<u8> {
    let mut kit = Kit::default();
    let send = kit.import("http-client", "send", (11, ""));
    let (method, url) = (kit.text("GET"), kit.text(url));
    let answer = kit.answer(1, 500, &[], "");
    let none = "(i32.const 0) (i32.const 0)";
    kit.build(Guest {
        world: "import portcullis:filter/http-client@0.1.0;",
        pages: 40,
        ..Guest::on_request(&format!(
            "(call {send} {method} {url} {none} {none} (i32.const 0) (i32.const {timeout}) (i32.const 7000))
            {DROP} {answer}
            (if (i32.load8_u (i32.const 7000))
                (then (i32.store16 (i32.const 644) (i32.add (i32.const 500) (i32.load8_u (i32.const 7004)))))
                (else (i32.store16 (i32.const 644) (i32.load16_u (i32.const 7004)))
                    (i32.store (i32.const 656) (i32.load (i32.const 7016)))
                    (i32.store (i32.const 660) (i32.load (i32.const 7020)))))
            {VERDICT}"
        ))
    })
}

/// In front of a backend, with a filter that asks `url` and is granted `hosts`.
fn granted(up: &Upstream, url: &str, hosts: &[&str]) -> GatewayBuilder {
    let plugin = plugin("asks", &asking(url, 15_000)).with("grants", json!({"http": hosts}));
    beside(up, web("asks", &[])).plugin(plugin)
}

const DENIED: u16 = 500;
const PROTOCOL: u16 = 504;

#[tokio::test]
async fn another_server_is_asked_only_where_the_grant_and_its_address_allow() {
    let up = upstream().start().await;
    let other = upstream()
        .answer(|seen| match seen.target.as_str() {
            "/away" => Reply::text("").header("Location", "http://169.254.169.254/"),
            _ => Reply::text("from elsewhere"),
        })
        .start()
        .await;
    let here = other.address().to_string();
    for (url, hosts, expected) in [
        (
            format!("http://{here}/x"),
            [here.as_str()],
            (200, "from elsewhere"),
        ),
        // It follows nothing by itself.
        (format!("http://{here}/away"), [here.as_str()], (200, "")),
        (format!("http://{here}/x"), ["elsewhere.test"], (DENIED, "")),
        (
            "http://169.254.169.254/latest".to_owned(),
            ["169.254.169.254"],
            (DENIED, ""),
        ),
        ("http://[fe80::1]/".to_owned(), ["[fe80::1]"], (DENIED, "")),
        (
            "file:///etc/passwd".to_owned(),
            [here.as_str()],
            (PROTOCOL, ""),
        ),
    ] {
        let gw = granted(&up, &url, &hosts).start().await;
        let answer = gw.get("a.test", "/").await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            expected,
            "{url} {hosts:?}"
        );
    }
    assert_eq!(other.seen().len(), 2);
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_waiting_filter_along() {
    let gate = Gate::closed();
    let wait = gate.clone();
    let up = upstream().start().await;
    let other = upstream()
        .answer(move |_| Reply::text("late").after(&wait))
        .start()
        .await;
    let here = other.address().to_string();
    let gw = granted(&up, &format!("http://{here}/"), &[&here])
        .start()
        .await;
    let gauge = "portcullis_plugin_instances{plugin=\"default/asks\"}";
    let mut open = Vec::new();
    for _ in 0..10 {
        // It resets its connection: one that only ends its direction still wants its answer.
        let stream = tokio::net::TcpStream::connect(gw.http()).await;
        let stream = stream.expect("the listener accepts");
        stream.set_zero_linger().expect("a TCP socket");
        let mut connection = Connection::over(stream);
        connection.send(get("/").host("a.test").bytes()).await;
        open.push(connection);
    }
    harness::until("ten filters wait", async || other.seen().len() == 10).await;
    assert_eq!(
        gw.get("b.test", "/").await.status,
        200,
        "nobody waits with them"
    );
    assert!(gw.metric(gauge).await >= 10.0);
    drop(open);
    harness::within_time(
        Duration::from_secs(5),
        "their instances to be gone, long before the filter has its answer",
        harness::until("their instances are gone", async || {
            gw.metric(gauge).await == 0.0
        }),
    )
    .await;
    gate.open();
    assert_eq!(
        gw.get("a.test", "/").await.text(),
        "late",
        "others still can"
    );
}
