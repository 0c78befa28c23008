//! Sessions on endpoints that end, and sessions beside a canary.

use harness::{
    Gateway, GatewayBuilder, IngressBuilder, Object, Upstream, endpoint, gateway, service, slice,
    upstream,
};
use serde_json::json;

use super::{Backends, believe, filtered, nginx, pair, root, share, until_states};

/// The slice of one endpoint in this state.
fn at(up: &Upstream, name: &str, state: &str) -> Object {
    let conditions = match state {
        "ready" => json!({"ready": true}),
        "serving" => json!({"ready": false, "serving": true, "terminating": true}),
        _ => json!({"ready": false, "serving": false, "terminating": true}),
    };
    let endpoints = [endpoint(up.address(), &conditions)];
    slice("web", name, ("http", up.address().port()), &endpoints)
}

/// A Service with the ready endpoints `stays` and `leaves`.
struct Two {
    gw: Gateway,
    stays: Upstream,
    leaves: Upstream,
}

async fn two(ingress: IngressBuilder) -> Two {
    let stays = upstream().name("stays").start().await;
    let leaves = upstream().name("leaves").start().await;
    let gw = gateway()
        .manifest(ingress)
        .manifest(service("web", &[("http", 80)]))
        .manifest(at(&stays, "stays", "ready"))
        .manifest(at(&leaves, "leaves", "ready"))
        .start()
        .await;
    Two { gw, stays, leaves }
}

impl Two {
    /// The cookie of a new session on the endpoint that will leave.
    async fn session(&self) -> String {
        let mut found = None;
        harness::until("a session is on the endpoint", async || {
            let answer = self.gw.send(&root()).await;
            if answer.backend() == "leaves" {
                found = Some(pair(&answer));
            }
            found.is_some()
        })
        .await;
        found.expect("a session")
    }

    /// The endpoint that leaves is in this state from now on.
    async fn turn(&self, state: &str) {
        self.gw.apply(at(&self.leaves, "leaves", state));
        until_states(&self.gw, &[(&self.stays, "ready"), (&self.leaves, state)]).await;
    }
}

fn all_kinds() -> [IngressBuilder; 4] {
    [
        filtered("sticky-session", "{mode: balanced}"),
        filtered(
            "sticky-session",
            "{mode: persistent, changeOnFailure: true}",
        ),
        nginx(&[("affinity", "cookie")]),
        nginx(&[("affinity", "cookie"), ("affinity-mode", "persistent")]),
    ]
}

#[tokio::test]
async fn sessions_stay_on_an_endpoint_that_ends_while_it_serves_and_new_ones_never_go_there() {
    for ingress in all_kinds() {
        let two = two(ingress).await;
        let session = root().header("Cookie", &two.session().await);
        two.turn("serving").await;
        assert_eq!(share(&two.gw, &session, 10, "leaves").await, 10);
        assert_eq!(share(&two.gw, &root(), 20, "stays").await, 20);
        for answer in super::ask(&two.gw, &session, 3).await {
            assert_eq!(answer.header("set-cookie"), None, "the session goes on");
        }

        two.turn("terminating").await;
        let moved = two.gw.send(&session).await;
        assert_eq!(moved.backend(), "stays", "it serves no more");
        let session = root().header("Cookie", &pair(&moved));
        assert_eq!(share(&two.gw, &session, 5, "stays").await, 5);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_ready_again_takes_its_persistent_sessions_back() {
    let two = two(filtered("sticky-session", "{mode: persistent}")).await;
    let session = root().header("Cookie", &two.session().await);
    two.turn("terminating").await;
    assert_eq!(two.gw.send(&session).await.backend(), "stays");
    two.turn("ready").await;
    // The client that kept its old cookie.
    assert_eq!(share(&two.gw, &session, 5, "leaves").await, 5);
}

/// Native chains with a canary by weight and sessions.
fn both(backends: &Backends, canary: &str) -> GatewayBuilder {
    let ingress = super::web()
        .annotation("portcullis.dev/filters", "canary, sticky-session")
        .annotation("portcullis.dev/filter.canary", canary);
    backends.gateway().manifest(ingress)
}

#[tokio::test]
async fn a_session_stays_with_the_backend_that_chance_gave_it() {
    let backends = Backends::start().await;
    let config = "{backends: [{service: next, port: 80, weight: 50}], stickyCookie: INGRESSCOOKIE}";
    let gw = both(&backends, config).start().await;
    let answers = super::ask(&gw, &root(), 100).await;
    let there = answers.iter().filter(|answer| answer.backend() == "next");
    believe(there.count(), 100, 0.5);
    for first in answers.iter().take(20) {
        let session = root().header("Cookie", &pair(first));
        for answer in super::ask(&gw, &session, 4).await {
            assert_eq!(
                (answer.backend(), answer.header("set-cookie")),
                (first.backend(), None)
            );
        }
    }
}

#[tokio::test]
async fn without_the_cookies_name_the_canary_decides_anew_and_the_session_follows() {
    let backends = Backends::start().await;
    let gw = both(
        &backends,
        "{backends: [{service: next, port: 80, header: X}]}",
    )
    .start()
    .await;
    let first = gw.send(&root()).await;
    assert_eq!(first.backend(), "web");
    let moved = root().header("Cookie", &pair(&first)).header("X", "always");
    let moved = gw.send(&moved).await;
    assert_eq!(moved.backend(), "next");
    assert_ne!(pair(&moved), pair(&first));
}

#[tokio::test]
async fn a_session_of_a_canary_that_is_gone_goes_on_at_the_primary() {
    let backends = Backends::start().await;
    let next = super::canary(&[("canary-weight", "100")]);
    let gw = backends
        .gateway()
        .manifest(nginx(&[("affinity", "cookie")]))
        .manifest(next.clone())
        .start()
        .await;
    let first = gw.send(&root()).await;
    assert_eq!(first.backend(), "next");
    let session = root().header("Cookie", &pair(&first));
    gw.delete(next);
    harness::until("the primary takes all", async || {
        gw.send(&root()).await.backend() == "web"
    })
    .await;
    let answer = gw.send(&session).await;
    assert_eq!(answer.backend(), "web");
    assert_ne!(pair(&answer), pair(&first));
}

#[tokio::test]
async fn the_share_of_sessions_is_that_of_the_weight() {
    let backends = Backends::start().await;
    let gw = backends
        .gateway()
        .manifest(nginx(&[("affinity", "cookie")]))
        .manifest(super::canary(&[("canary-weight", "40")]))
        .start()
        .await;
    believe(share(&gw, &root(), 300, "next").await, 300, 0.4);
}

#[tokio::test]
async fn a_canary_endpoint_that_ends_keeps_its_sessions_too() {
    let backends = Backends::start().await;
    let other = upstream().name("next-2").start().await;
    let gw = backends
        .gateway()
        .manifest(nginx(&[("affinity", "cookie")]))
        .manifest(super::canary(&[("canary-by-header", "X-Canary")]))
        .start()
        .await;
    let always = root().header("X-Canary", "always");
    let first = gw.send(&always).await;
    assert_eq!(first.backend(), "next");
    let session = root().header("Cookie", &pair(&first));
    let serving = json!({"ready": false, "serving": true, "terminating": true});
    let slices = [
        slice(
            "next",
            "0",
            ("http", backends.next.address().port()),
            &[endpoint(backends.next.address(), &serving)],
        ),
        slice(
            "next",
            "1",
            ("http", other.address().port()),
            &[endpoint(other.address(), &json!({"ready": true}))],
        ),
    ];
    let text = slices.map(|slice| slice.0.to_string()).join("\n---\n");
    gw.write("endpoints-next.yaml", &text);
    harness::until("new requests go to the other endpoint", async || {
        gw.send(&always).await.backend() == "next-2"
    })
    .await;
    assert_eq!(share(&gw, &session, 8, "next").await, 8);
    assert_eq!(share(&gw, &always, 8, "next-2").await, 8);
}

#[tokio::test]
async fn where_no_endpoint_is_ready_those_that_end_take_new_sessions_too() {
    let two = two(nginx(&[("affinity", "cookie")])).await;
    let session = root().header("Cookie", &two.session().await);
    two.gw.apply(at(&two.stays, "stays", "terminating"));
    two.gw.apply(at(&two.leaves, "leaves", "serving"));
    let both = [(&two.stays, "terminating"), (&two.leaves, "serving")];
    until_states(&two.gw, &both).await;
    for answer in super::ask(&two.gw, &session, 3).await {
        assert_eq!(
            (answer.backend().as_str(), answer.header("set-cookie")),
            ("leaves", None)
        );
    }
    let new = two.gw.send(&root()).await;
    assert_eq!(new.backend(), "leaves");
    let session = root().header("Cookie", &pair(&new));
    assert_eq!(share(&two.gw, &session, 3, "leaves").await, 3);
    two.gw.apply(at(&two.leaves, "leaves", "terminating"));
    two.gw.until_status("a.test", "/", 503).await;
    let answer = two.gw.send(&session).await;
    assert_eq!(
        (answer.status, answer.reason()),
        (503, Some("no-endpoints"))
    );
}

#[tokio::test]
async fn sessions_of_yet_another_backend_count_as_none_where_the_primary_is_named() {
    let backends = Backends::start().await;
    let third = upstream().name("third").start().await;
    let config = |primary: &str| {
        format!(
            "{{backends: [{{service: next, port: 80, weight: 100}}], stickyCookie: INGRESSCOOKIE{primary}}}"
        )
    };
    for (primary, wanted) in [("", "web"), (", primary: 'web:80'", "next")] {
        let other = harness::ingress("third")
            .host("b.test")
            .path("/", "third", 80)
            .annotation("portcullis.dev/filters", "sticky-session");
        let gw = both(&backends, &config(primary))
            .manifest(other)
            .service("third", 80, &[&third])
            .start()
            .await;
        let foreign = pair(&gw.get("b.test", "/").await);
        let answer = gw.send(&root().header("Cookie", &foreign)).await;
        assert_eq!(answer.backend(), wanted, "{primary:?}");
    }
}
