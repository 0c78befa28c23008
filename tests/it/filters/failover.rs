//! Sessions whose endpoint refuses: they stay and get 502, or move, as `changeOnFailure` says.

use harness::{Gateway, IngressBuilder, Upstream, gateway, post, upstream};
use tokio::net::TcpSocket;

use super::{filtered, nginx, pair, root, share, until_states};

/// A Service with the endpoints `stays` and `fails`, and a session on the latter, which refuses by now.
struct Failed {
    gw: Gateway,
    stays: Upstream,
    session: String,
    /// Holds the port, so that nothing else comes to listen there.
    socket: TcpSocket,
}

async fn failed(ingress: IngressBuilder) -> Failed {
    let stays = upstream().name("stays").start().await;
    let fails = upstream().name("fails").start().await;
    let gw = gateway()
        .manifest(ingress)
        .service("web", 80, &[&stays, &fails])
        .start()
        .await;
    let mut session = None;
    harness::until("a session is on the endpoint", async || {
        let answer = gw.send(&root()).await;
        if answer.backend() == "fails" {
            session = Some(pair(&answer));
        }
        session.is_some()
    })
    .await;
    let address = fails.stop().await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket");
    harness::until("the port is held", async || socket.bind(address).is_ok()).await;
    Failed {
        gw,
        stays,
        session: session.expect("a session"),
        socket,
    }
}

#[tokio::test]
async fn a_session_stays_with_an_endpoint_that_refuses_until_that_leaves_the_service() {
    for ingress in [
        filtered("sticky-session", "{mode: persistent}"),
        filtered("sticky-session", "{mode: balanced, changeOnFailure: false}"),
        nginx(&[("affinity", "cookie")]),
        nginx(&[("affinity", "cookie"), ("affinity-mode", "persistent")]),
    ] {
        let failed = failed(ingress).await;
        let session = root().header("Cookie", &failed.session);
        // More often than an endpoint may fail before it is passed over.
        for _ in 0..12 {
            let answer = failed.gw.send(&session).await;
            assert_eq!((answer.status, answer.reason()), (502, Some("connect")));
            assert_eq!(answer.header("set-cookie"), None);
        }
        assert_eq!(
            share(&failed.gw, &root(), 20, "stays").await,
            20,
            "new sessions go around it"
        );

        failed.gw.endpoints("web", &[failed.stays.address()]);
        until_states(&failed.gw, &[(&failed.stays, "ready")]).await;
        let moved = failed.gw.send(&session).await;
        assert_eq!(moved.backend(), "stays");
        let session = root().header("Cookie", &pair(&moved));
        assert_eq!(share(&failed.gw, &session, 5, "stays").await, 5);
        drop(failed.socket);
    }
}

#[tokio::test]
async fn a_session_that_may_change_moves_at_once_and_stays_moved() {
    for ingress in [
        filtered(
            "sticky-session",
            "{mode: persistent, changeOnFailure: true}",
        ),
        filtered("sticky-session", "{mode: balanced, changeOnFailure: true}"),
        nginx(&[
            ("affinity", "cookie"),
            ("session-cookie-change-on-failure", "true"),
        ]),
        nginx(&[
            ("affinity", "cookie"),
            ("affinity-mode", "persistent"),
            ("session-cookie-change-on-failure", "true"),
        ]),
    ] {
        let failed = failed(ingress).await;
        let old = root().header("Cookie", &failed.session);
        let moved = failed.gw.send(&old).await;
        assert_eq!(moved.backend(), "stays");
        let session = root().header("Cookie", &pair(&moved));
        for answer in super::ask(&failed.gw, &session, 12).await {
            assert_eq!(answer.backend(), "stays");
        }
        // Who kept the old cookie is served too, and told again.
        for answer in super::ask(&failed.gw, &old, 3).await {
            assert_eq!(answer.backend(), "stays");
            assert!(answer.header("set-cookie").is_some(), "{answer:?}");
        }
        drop(failed.socket);
    }
}

#[tokio::test]
async fn a_session_whose_endpoint_listens_again_goes_on_there() {
    let failed = failed(filtered("sticky-session", "{mode: persistent}")).await;
    let session = root().header("Cookie", &failed.session);
    assert_eq!(failed.gw.send(&session).await.status, 502);
    let address = failed.socket.local_addr().expect("a bound socket");
    drop(failed.socket);
    let again = upstream().name("again").at(address).start().await;
    let answer = failed.gw.send(&session).await;
    assert_eq!(
        (answer.backend().as_str(), answer.header("set-cookie")),
        ("again", None)
    );
    assert_eq!(again.seen().len(), 1);
}

#[tokio::test]
async fn a_session_that_may_change_passes_over_all_that_refuse_and_takes_its_body_along() {
    let stays = upstream().name("stays").start().await;
    let mut dead = Vec::new();
    for _ in 0..2 {
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(any).expect("a free port");
        dead.push(socket);
    }
    let address = |socket: &TcpSocket| socket.local_addr().expect("a bound socket");
    let all = [address(&dead[0]), stays.address(), address(&dead[1])];
    let keys = [
        ("affinity", "cookie"),
        ("session-cookie-change-on-failure", "true"),
    ];
    let gw = gateway()
        .manifest(nginx(&keys))
        .service_at("web", 80, &all)
        .start()
        .await;
    // Whichever endpoint its hash says: all of them have to be tried at most.
    for _ in 0..10 {
        let first = gw.send(&post("/", "body").host("a.test")).await;
        assert_eq!((first.saw().length, first.backend().as_str()), (4, "stays"));
        let session = post("/", "more").host("a.test");
        let session = session.header("Cookie", &pair(&first));
        assert_eq!(gw.send(&session).await.backend(), "stays");
    }
}
