//! A client of HTTP/1.0, for which the end of the connection is the end of the body.

use std::io::ErrorKind;

use harness::{Payload, Reply, upstream};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn a_body_that_breaks_off_is_no_whole_one() {
    for broken in [
        &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    ] {
        let up = upstream()
            .answer(|_| Reply::of(200, Payload::Raw(broken.to_vec())))
            .start()
            .await;
        let gw = crate::in_front_of(&up).start().await;
        let mut client = gw.connect().await;
        client.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n").await;
        let mut stream = client.into_stream();
        let mut answer = Vec::new();
        let end = harness::within("the end", stream.read_to_end(&mut answer)).await;
        let kind = end.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::ConnectionReset), "{answer:?}");
    }
}
