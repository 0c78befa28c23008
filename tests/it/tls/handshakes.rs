//! Versions, ALPN, resumption.

use harness::{TlsOptions, get, upstream};
use rustls::{
    ProtocolVersion,
    version::{TLS12, TLS13},
};

#[tokio::test]
async fn both_versions_of_today_work() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for (version, expected) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let handshake = gw.tls(&TlsOptions::of_versions(&[version]), "a.test").await;
        assert_eq!(
            handshake.stream.get_ref().1.protocol_version(),
            Some(expected)
        );
        assert_eq!(
            handshake.http1().ask(&get("/").host("a.test")).await.status,
            200
        );
    }
}

#[tokio::test]
async fn alpn_chooses_http2_first_and_http1_without_any() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let cases: [(&[&str], Option<&str>); 5] = [
        (&["h2", "http/1.1"], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["h2"], Some("h2")),
        (&[], None),
    ];
    for (offered, expected) in cases {
        let handshake = gw.tls(&TlsOptions::lenient().alpn(offered), "a.test").await;
        assert_eq!(handshake.alpn().as_deref(), expected, "{offered:?}");
        if expected != Some("h2") {
            assert_eq!(
                handshake.http1().ask(&get("/").host("a.test")).await.status,
                200
            );
        }
    }
    let mut h2 = gw.http2_tls("a.test").await;
    assert_eq!(
        h2.ask(&[], "GET", "https://a.test/", None)
            .await
            .saw()
            .version,
        "HTTP/1.1"
    );
}

#[tokio::test]
async fn an_unknown_protocol_is_refused_in_the_handshake() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let refused = TlsOptions::lenient()
        .alpn(&["spdy/3"])
        .connect(gw.https(), "a.test")
        .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn sessions_are_resumed() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for version in [&TLS12, &TLS13] {
        let options = TlsOptions::of_versions(&[version]);
        let first = gw.tls(&options, "a.test").await;
        assert!(!first.is_resumed());
        // A ticket of TLS 1.3 comes after the handshake, with the first answer at the latest.
        assert_eq!(
            first.http1().ask(&get("/").host("a.test")).await.status,
            200
        );
        let second = gw.tls(&options, "a.test").await;
        assert!(second.is_resumed(), "{version:?}");
        assert_eq!(
            second.http1().ask(&get("/").host("a.test")).await.status,
            200
        );
    }
}

#[tokio::test]
async fn plain_http_on_the_https_listener_is_closed_and_harms_nobody() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut plain = harness::Connection::open(gw.https()).await;
    plain.send(get("/").host("a.test").bytes()).await;
    plain.rest().await;
    assert!(up.seen().is_empty());
    assert_eq!(gw.get_tls("a.test", "/").await.status, 200);
}
