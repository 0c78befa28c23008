//! The guard over streams that come in any pieces.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::*;

/// A peer that sends its bytes in these pieces and then nothing more.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let count = piece.len().min(buf.remaining());
            buf.put_slice(&piece[..count]);
            let rest = piece.split_off(count);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What the parser gets to see of `bytes` sent in pieces of `step`, and whether a head was refused.
fn pass(bytes: &[u8], step: usize) -> (Vec<u8>, Option<Refusal>, io::Result<()>) {
    let pieces = Pieces(bytes.chunks(step).map(<[u8]>::to_vec).collect());
    let conn = Conn::new();
    let mut guard = Guard::new(
        pieces,
        Arc::clone(&conn),
        &Limits::default(),
        BytesMut::new(),
    );
    let mut seen = Vec::new();
    let mut buf = [0; 97];
    let result = futures(async {
        loop {
            let read = tokio::select! {
                biased;
                read = guard.read(&mut buf) => read?,
                () = std::future::ready(()) => return Ok(()),
            };
            if read == 0 {
                return Ok(());
            }
            seen.extend_from_slice(&buf[..read]);
        }
    });
    (seen, conn.refused(|| true), result)
}

fn futures<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn what_means_one_thing_passes_byte_for_byte_in_any_pieces() {
    let chunked: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
        3;ext=\"v\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n";
    let sized: &[u8] = b"PUT /p?q HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 300\r\n\r\n";
    let body = vec![b'x'; 300];
    let old: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
    let absolute: &[u8] = b"GET http://A.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let all = [b"\r\n", GET, chunked, sized, &body, GET, absolute, old].concat();
    for step in [1, 2, 3, 10, 96, 1000] {
        let (seen, refused, result) = pass(&all, step);
        assert_eq!(
            String::from_utf8_lossy(&seen),
            String::from_utf8_lossy(&all),
            "{step}"
        );
        assert_eq!((refused, result.is_ok()), (None, true));
    }
}

#[test]
fn a_head_that_could_mean_two_things_is_replaced() {
    let host = "Host: a.test\r\n";
    let bad = [
        format!("GET / HTTP/1.1\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x: 1\n\r\n"),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{host}{host}\r\n"),
        "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(),
        format!("GET  / HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1 \r\n{host}\r\n"),
        format!("GET /\r\n{host}\r\n"),
        format!("GET / HTTP/1.2\r\n{host}\r\n"),
        format!("GET / HTTP/2.0\r\n{host}\r\n"),
        format!("G(T / HTTP/1.1\r\n{host}\r\n"),
        format!("GET /a#b HTTP/1.1\r\n{host}\r\n"),
        format!("GET a HTTP/1.1\r\n{host}\r\n"),
        format!("GET * HTTP/1.1\r\n{host}\r\n"),
        format!("GET /\u{e9} HTTP/1.1\r\n{host}\r\n"),
        format!("CONNECT a.test:80 HTTP/1.1\r\n{host}\r\n"),
        format!("GET http://b.test/ HTTP/1.1\r\n{host}\r\n"),
        "GET http://a.test/ HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{host}x : 1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n x: 1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x: 1\r\n y\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}: 1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x: a\0b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x: a\rb\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 1, 1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: +1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 0x1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length:\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked, chunked\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: identity\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked,\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n"),
        format!(
            "POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        ),
        format!("POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n"),
        "\u{16}\u{3}\u{1}".to_owned(),
    ];
    for bad in &bad {
        let all = [GET, bad.as_bytes(), GET].concat();
        for step in [1, 7, 1000] {
            let (seen, refused, _) = pass(&all, step);
            let expected = [GET, STAND_IN].concat();
            assert_eq!(
                String::from_utf8_lossy(&seen),
                String::from_utf8_lossy(&expected),
                "{bad:?} {step}"
            );
            assert!(matches!(refused, Some(Refusal::Malformed(_))), "{bad:?}");
        }
    }
}

#[test]
fn what_stands_in_for_a_head_is_answered_as_one() {
    for (bad, stand_in) in [
        ("HEAD / HTTP/1.1\r\n\r\n", STAND_IN_HEAD),
        ("\r\nHEAD / HTTP/1.1\r\nHost: ;\r\n\r\n", STAND_IN_HEAD),
        ("HEADS / HTTP/1.1\r\n\r\n", STAND_IN),
    ] {
        for step in [1, 1000] {
            let (seen, refused, _) = pass(bad.as_bytes(), step);
            assert_eq!(seen, stand_in, "{bad:?} {step}");
            assert!(matches!(refused, Some(Refusal::Malformed(_))));
        }
    }
}

#[test]
fn a_head_beyond_the_limits_is_too_large() {
    let long = [
        b"GET / HTTP/1.1\r\nHost: a\r\nx: ".to_vec(),
        vec![b'a'; 70_000],
    ]
    .concat();
    assert_eq!(pass(&long, 4096).1, Some(Refusal::HeadTooLarge));
    let many = [
        "GET / HTTP/1.1\r\nHost: a\r\n".to_owned(),
        "x: 1\r\n".repeat(100),
        "\r\n".to_owned(),
    ]
    .concat();
    assert_eq!(pass(many.as_bytes(), 4096).1, Some(Refusal::HeadTooLarge));
    let enough = [
        "GET / HTTP/1.1\r\nHost: a\r\n".to_owned(),
        "x: 1\r\n".repeat(99),
        "\r\n".to_owned(),
    ]
    .concat();
    assert_eq!(pass(enough.as_bytes(), 4096).1, None);
}

#[test]
fn a_broken_chunk_ends_the_body_with_an_error() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bad = [
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "\r\n",
        "0x3\r\nabc\r\n",
        "-3\r\nabc\r\n",
        " 3\r\nabc\r\n",
        "3 \r\nabc\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "3;a=\0\r\nabc\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\nContent-Length: 3\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\n x: 1\r\n\r\n",
        "0\r\nx: 1\n\r\n",
        "0\r\n\n",
    ];
    for bad in bad {
        for step in [1, 5, 1000] {
            let (_, refused, result) = pass([head, bad].concat().as_bytes(), step);
            assert_eq!(refused, None, "{bad:?}");
            assert_eq!(
                result.unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{bad:?} {step}"
            );
        }
    }
}

#[test]
fn bytes_behind_a_request_to_upgrade_wait_for_the_answer() {
    let ask = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (accepted, behind) in [(true, &b"\x81\x05hello\n\n"[..]), (false, GET)] {
        for step in [1, 1000] {
            let all = [&ask[..], behind].concat();
            let pieces = Pieces(all.chunks(step).map(<[u8]>::to_vec).collect());
            let conn = Conn::new();
            let mut guard = Guard::new(
                pieces,
                Arc::clone(&conn),
                &Limits::default(),
                BytesMut::new(),
            );
            futures(async {
                let mut head = vec![0; ask.len()];
                guard.read_exact(&mut head).await.unwrap();
                assert_eq!(head, ask);
                let mut byte = [0];
                let early = tokio::select! {
                    biased;
                    _ = guard.read(&mut byte) => true,
                    () = std::future::ready(()) => false,
                };
                assert!(!early, "a byte passed before the answer");
                conn.answer_upgrade(accepted);
                let mut rest = vec![0; behind.len()];
                guard.read_exact(&mut rest).await.unwrap();
                assert_eq!(rest, behind);
            });
        }
    }
}
