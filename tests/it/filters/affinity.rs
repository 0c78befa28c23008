//! Sessions stay on their endpoints; what happens to them when endpoints come and go.

use std::collections::HashSet;

use harness::{Gateway, IngressBuilder, Upstream, gateway, get, ingress, upstream};

use super::{filtered, keyed, nginx, pair, root, until_states, web};

/// So many backends called by their numbers.
async fn backends(number: usize) -> Vec<Upstream> {
    let mut all = Vec::new();
    for number in 0..number {
        all.push(upstream().name(&number.to_string()).start().await);
    }
    all
}

async fn serving(ingress: IngressBuilder, ups: &[Upstream]) -> Gateway {
    let all: Vec<&Upstream> = ups.iter().collect();
    let builder = gateway().service("web", 80, &all).manifest(ingress);
    builder.start().await
}

/// A session: its cookie, and the backend that it is on.
type Session = (String, String);

async fn sessions(gw: &Gateway, number: usize) -> Vec<Session> {
    let answers = super::ask(gw, &root(), number).await;
    let session = |answer: &harness::Answer| (pair(answer), answer.backend());
    answers.iter().map(session).collect()
}

/// Where the sessions go now; those that move get another cookie, and go where that says.
async fn again(gw: &Gateway, sessions: &[Session]) -> Vec<Session> {
    let mut connection = gw.connect().await;
    let mut now = Vec::new();
    for (cookie, backend) in sessions {
        let answer = connection.ask(&root().header("Cookie", cookie)).await;
        let (moved, told) = (answer.backend() != *backend, answer.header("set-cookie"));
        assert_eq!(moved, told.is_some(), "{cookie} of {backend}: {told:?}");
        let cookie = if moved { pair(&answer) } else { cookie.clone() };
        now.push((cookie, answer.backend()));
    }
    now
}

fn native(mode: &str) -> IngressBuilder {
    filtered("sticky-session", &format!("{{mode: {mode}}}"))
}

fn by_key(mode: &str) -> IngressBuilder {
    nginx(&[("affinity", "cookie"), ("affinity-mode", mode)])
}

fn moved(before: &[Session], after: &[Session]) -> usize {
    let both = before.iter().zip(after);
    both.filter(|(before, after)| before.1 != after.1).count()
}

#[tokio::test]
async fn a_session_stays_and_its_cookie_is_set_once() {
    for ingress in [
        web().annotation("portcullis.dev/filters", "sticky-session"),
        nginx(&[("affinity", "cookie")]),
        native("persistent"),
    ] {
        let ups = backends(3).await;
        let gw = serving(ingress, &ups).await;
        let first = sessions(&gw, 30).await;
        assert!(first[0].0.starts_with("INGRESSCOOKIE="), "{first:?}");
        let different: HashSet<_> = first.iter().map(|(_, backend)| backend).collect();
        assert_eq!(different.len(), 3, "new sessions spread: {first:?}");
        for _ in 0..2 {
            assert_eq!(again(&gw, &first).await, first);
        }
    }
}

#[tokio::test]
async fn the_filter_is_not_called_where_a_session_goes_on() {
    for mode in ["balanced", "persistent"] {
        let ups = backends(2).await;
        let gw = serving(native(mode), &ups).await;
        let first = sessions(&gw, 10).await;
        let calls = gw.filter_calls("web", "sticky-session").await;
        assert_eq!(calls, (20.0, 0.0), "of requests and of their responses");
        assert_eq!(again(&gw, &first).await, first);
        let calls = gw.filter_calls("web", "sticky-session").await;
        assert_eq!(calls, (20.0, 10.0), "{mode}");
    }
}

#[tokio::test]
async fn only_cookie_is_an_affinity() {
    let ups = backends(1).await;
    let gw = serving(nginx(&[("affinity", "ip")]), &ups).await;
    let problem = gw.until_problem(&["affinity", "write cookie"]).await;
    assert_eq!(problem["severity"], "warning");
    assert_eq!(gw.send(&root()).await.header("set-cookie"), None);
}

#[tokio::test]
async fn sessions_are_those_of_their_ingress_only() {
    let ups = backends(1).await;
    let gw = serving(by_key("balanced"), &ups).await;
    gw.apply(ingress("other").host("a.test").path("/other", "web", 80));
    harness::until("both Ingresses serve", async || {
        gw.routes().await.len() == 2
    })
    .await;
    assert!(gw.get("a.test", "/").await.header("set-cookie").is_some());
    assert_eq!(gw.get("a.test", "/other").await.header("set-cookie"), None);
}

#[tokio::test]
async fn a_host_with_a_wildcard_has_sessions_too() {
    let ups = backends(2).await;
    let wild = ingress("web").host("*.test").path("/", "web", 80);
    let gw = serving(keyed(wild, &[("affinity", "cookie")]), &ups).await;
    let first = gw.get("b.test", "/").await;
    let request = get("/").host("b.test").header("Cookie", &pair(&first));
    for _ in 0..6 {
        let answer = gw.send(&request).await;
        assert_eq!(
            (answer.backend(), answer.header("set-cookie")),
            (first.backend(), None)
        );
    }
}

#[tokio::test]
async fn more_endpoints_take_their_share_of_balanced_sessions_and_no_more() {
    for ingress in [native("balanced"), by_key("balanced")] {
        let ups = backends(4).await;
        let gw = serving(ingress, &ups[..2]).await;
        let before = sessions(&gw, 200).await;
        super::believe(before.iter().filter(|s| s.1 == "0").count(), 200, 0.5);
        let addresses: Vec<_> = ups.iter().map(Upstream::address).collect();
        gw.endpoints("web", &addresses);
        let all: Vec<_> = ups.iter().map(|up| (up, "ready")).collect();
        until_states(&gw, &all).await;
        let after = again(&gw, &before).await;
        // From two to four endpoints: (4 - 2) / 4.
        super::believe(moved(&before, &after), 200, 0.5);
        for (before, after) in before.iter().zip(&after) {
            let to_new = after.1 == "2" || after.1 == "3";
            assert!(before.1 == after.1 || to_new, "{before:?} {after:?}");
        }
        assert_eq!(again(&gw, &after).await, after);
    }
}

#[tokio::test]
async fn more_endpoints_move_no_persistent_session() {
    for ingress in [native("persistent"), by_key("persistent")] {
        let ups = backends(4).await;
        let gw = serving(ingress, &ups[..2]).await;
        let before = sessions(&gw, 60).await;
        let addresses: Vec<_> = ups.iter().map(Upstream::address).collect();
        gw.endpoints("web", &addresses);
        let all: Vec<_> = ups.iter().map(|up| (up, "ready")).collect();
        until_states(&gw, &all).await;
        assert_eq!(again(&gw, &before).await, before);
        let new = sessions(&gw, 60).await;
        assert!(new.iter().any(|s| s.1 == "2" || s.1 == "3"), "{new:?}");
    }
}

#[tokio::test]
async fn when_an_endpoint_leaves_only_its_sessions_move() {
    for ingress in [
        native("balanced"),
        native("persistent"),
        by_key("persistent"),
    ] {
        let ups = backends(3).await;
        let gw = serving(ingress, &ups).await;
        let before = sessions(&gw, 60).await;
        gw.endpoints("web", &[ups[0].address(), ups[1].address()]);
        until_states(&gw, &[(&ups[0], "ready"), (&ups[1], "ready")]).await;
        let after = again(&gw, &before).await;
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || before.1 == "2", "{before:?} {after:?}");
            assert_ne!(after.1, "2");
        }
        assert_eq!(again(&gw, &after).await, after);
    }
}

#[tokio::test]
async fn what_is_made_up_begins_a_new_session() {
    let ups = backends(2).await;
    let gw = serving(by_key("persistent"), &ups).await;
    let true_one = pair(&gw.send(&root()).await);
    let (name, value) = true_one.split_once('=').expect("a pair");
    let mut parts: Vec<&str> = value.split('.').collect();
    parts[1] = "0123456789abcdef";
    let nowhere = parts.join(".");
    let address = ups[0].address().to_string();
    for made_up in [
        "",
        "x",
        "a.b.c",
        "..",
        nowhere.as_str(),
        address.as_str(),
        &"x".repeat(5000),
    ] {
        let request = root().header("Cookie", &format!("{name}={made_up}"));
        let answer = gw.send(&request).await;
        assert_eq!(answer.status, 200, "{made_up}");
        let session = root().header("Cookie", &pair(&answer));
        let next = gw.send(&session).await;
        assert_eq!(
            (next.backend(), next.header("set-cookie")),
            (answer.backend(), None)
        );
    }
}

#[tokio::test]
async fn a_cookie_tells_nobody_where_the_endpoint_is() {
    let ups = backends(1).await;
    let gw = serving(native("persistent"), &ups).await;
    let cookie = pair(&gw.send(&root()).await);
    let (_, value) = cookie.split_once('=').expect("a pair");
    let port = ups[0].address().port().to_string();
    assert!(value.split(['.', ':']).all(|part| part != port), "{cookie}");
    assert!(
        !cookie.contains("127.0.0.1") && !cookie.contains("web"),
        "{cookie}"
    );
}

#[tokio::test]
async fn backends_get_the_cookie_as_it_came_and_their_own_cookies_pass() {
    let up = upstream()
        .answer(|_| harness::Reply::echo().header("Set-Cookie", "own=1; Path=/"))
        .start()
        .await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(by_key("balanced"))
        .start()
        .await;
    let answer = gw.send(&root()).await;
    let all = answer.all("set-cookie");
    assert_eq!((all.len(), all[0]), (2, "own=1; Path=/"));
    let session = all[1].split(';').next().expect("a pair");
    let sent = format!("own=1; {session}");
    let answer = gw.send(&root().header("Cookie", &sent)).await;
    assert_eq!(answer.all("set-cookie"), ["own=1; Path=/"]);
    assert_eq!(answer.saw().all("cookie"), [sent.as_str()]);
}

#[tokio::test]
async fn sessions_of_http2_clients_are_sessions() {
    let ups = backends(3).await;
    let gw = serving(by_key("balanced"), &ups).await;
    let mut http2 = gw.http2().await;
    let first = http2.get("a.test", "/").await;
    let set = first.header("set-cookie").expect("a cookie").to_owned();
    let pair = set.split(';').next().expect("a pair");
    let backend = first.saw().backend;
    for _ in 0..6 {
        let fields = [("cookie", "a=b"), ("cookie", pair)];
        let answer = http2.ask(&fields, "GET", "http://a.test/", None).await;
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.saw().backend, backend);
    }
}

#[tokio::test]
async fn a_default_backend_has_sessions_for_all_paths() {
    let ups = backends(2).await;
    let all = ingress("web").default_backend("web", 80);
    let gw = serving(keyed(all, &[("affinity", "cookie")]), &ups).await;
    let first = gw.get("any.test", "/x/y").await;
    let (session, attributes) = super::cookie(&first).expect("a cookie");
    assert!(attributes.contains(&"path=/".to_owned()), "{attributes:?}");
    for path in ["/", "/z"] {
        let request = get(path).host("any.test").header("Cookie", &session);
        assert_eq!(gw.send(&request).await.backend(), first.backend());
    }
}

#[tokio::test]
async fn all_workers_and_all_paths_know_a_session() {
    let ups = backends(3).await;
    let all: Vec<&Upstream> = ups.iter().collect();
    let gw = gateway()
        .service("web", 80, &all)
        .manifest(by_key("persistent"))
        .flag("--workers", "2")
        .start()
        .await;
    let first = gw.send(&root()).await;
    let session = pair(&first);
    for number in 0..20 {
        let request = get(&format!("/{number}")).host("a.test");
        let answer = gw.send(&request.header("Cookie", &session)).await;
        assert_eq!(answer.backend(), first.backend());
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn an_upgraded_connection_begins_and_keeps_a_session() {
    let mut ups = Vec::new();
    for name in ["0", "1", "2"] {
        let answer = |seen: &harness::Seen| match seen.header("upgrade") {
            Some(_) => harness::Reply::upgrade("websocket"),
            None => harness::Reply::echo(),
        };
        ups.push(upstream().name(name).answer(answer).start().await);
    }
    let gw = serving(by_key("persistent"), &ups).await;
    let upgrade = root()
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    let mut socket = gw.connect().await;
    socket.send(upgrade.bytes()).await;
    let head = socket.head("GET").await.expect("a head");
    assert_eq!(head.status, 101);
    let session = pair(&head);
    let met = |ups: &[Upstream]| ups.iter().map(|up| up.seen().len()).collect::<Vec<_>>();
    let before = met(&ups);
    for _ in 0..5 {
        let mut socket = gw.connect().await;
        socket
            .send(upgrade.clone().header("Cookie", &session).bytes())
            .await;
        let head = socket.head("GET").await.expect("a head");
        assert_eq!((head.status, head.header("set-cookie")), (101, None));
    }
    let after = met(&ups);
    let wanted: Vec<_> = before.iter().map(|number| number * 6).collect();
    assert_eq!(after, wanted, "all of them at the one that met the first");
}
