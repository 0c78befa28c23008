//! The PROXY protocol in front of HTTP and TLS.

use harness::{Broken, Connection, Gateway, TlsOptions, Upstream, get, upstream};
use tokio::{io::AsyncWriteExt, net::TcpStream};

async fn start(trusted: Option<&str>) -> (Gateway, Upstream) {
    let up = upstream().start().await;
    let builder = crate::in_front_of(&up).switch("--proxy-protocol");
    let builder = match trusted {
        Some(range) => builder.flag("--trusted-proxies", range),
        None => builder,
    };
    (builder.start().await, up)
}

/// A header of version 2 for TCP over IPv4, with bytes after the addresses.
fn version_2(source: [u8; 4], more: &[u8]) -> Vec<u8> {
    let mut out = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    out.extend_from_slice(
        &u16::try_from(12 + more.len())
            .expect("a short header")
            .to_be_bytes(),
    );
    out.extend_from_slice(&source);
    out.extend_from_slice(&[10, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb]);
    out.extend_from_slice(more);
    out
}

async fn client_behind(gw: &Gateway, header: &[u8]) -> Result<String, Broken> {
    let mut connection = gw.connect().await;
    connection
        .send([header, &get("/").host("a.test").bytes()].concat())
        .await;
    let saw = connection.answer("GET").await?.saw();
    Ok(saw.header("x-forwarded-for").unwrap_or_default().to_owned())
}

#[tokio::test]
async fn both_versions_tell_the_client() {
    let (gw, _up) = start(None).await;
    let v6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 12345 443\r\n";
    let cases: [(Vec<u8>, &str); 6] = [
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n".to_vec(),
            "192.0.2.7",
        ),
        (v6.to_vec(), "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (version_2([192, 0, 2, 8], b""), "192.0.2.8"),
        // A TLV of an unknown type.
        (version_2([192, 0, 2, 9], b"\xe0\x00\x03abc"), "192.0.2.9"),
        // LOCAL: a health check of the balancer itself.
        (
            b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec(),
            "127.0.0.1",
        ),
    ];
    for (header, client) in cases {
        let found = client_behind(&gw, &header)
            .await
            .unwrap_or_else(|e| panic!("{e:?} for {header:?}"));
        assert_eq!(found, client, "{header:?}");
    }
}

#[tokio::test]
async fn it_stands_before_tls_too() {
    let (gw, _up) = start(None).await;
    let mut stream = TcpStream::connect(gw.https())
        .await
        .expect("the listener accepts");
    stream
        .write_all(b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n")
        .await
        .expect("room");
    let handshake = TlsOptions::lenient()
        .over(stream, "a.test")
        .await
        .expect("a handshake");
    let saw = handshake.http1().ask(&get("/").host("a.test")).await.saw();
    assert_eq!(saw.header("x-forwarded-for"), Some("192.0.2.7"));
}

#[tokio::test]
async fn a_header_in_pieces_is_read() {
    let (gw, _up) = start(None).await;
    let mut connection = gw.connect().await;
    for piece in [
        &b"PROXY TCP4 192.0"[..],
        b".2.7 10.0.0.1 123",
        b"45 443\r",
        b"\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ] {
        connection.send(piece).await;
    }
    let saw = connection.answer("GET").await.expect("an answer").saw();
    assert_eq!(saw.header("x-forwarded-for"), Some("192.0.2.7"));
}

#[tokio::test]
async fn without_the_header_the_connection_is_closed() {
    let (gw, up) = start(None).await;
    let broken: [&[u8]; 6] = [
        b"",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 999.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 99999 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x00",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 and so on and on and on and on and on and on and on and on and on and on and on\r\n",
    ];
    for header in broken {
        let mut connection = gw.connect().await;
        connection
            .send([header, &get("/").host("a.test").bytes()].concat())
            .await;
        let rest = connection.rest().await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{header:?}");
    }
    assert!(up.seen().is_empty(), "{:?}", up.seen());
}

#[tokio::test]
async fn only_trusted_proxies_may_send_it() {
    let header = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n";
    let (gw, up) = start(Some("10.0.0.0/8")).await;
    assert!(client_behind(&gw, header).await.is_err());
    assert!(up.seen().is_empty());
    let (gw, _up) = start(Some("127.0.0.0/8")).await;
    assert_eq!(
        client_behind(&gw, header).await.expect("an answer"),
        "192.0.2.7"
    );
}

#[tokio::test]
async fn without_the_flag_the_header_is_no_http() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection: Connection = gw.connect().await;
    connection
        .send(b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    let answer = connection.answer("GET").await.expect("an answer");
    assert_eq!((answer.status, up.seen().len()), (400, 0));
}
