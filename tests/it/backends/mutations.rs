//! Answers with a few bytes changed: clients get them well-formed, refused or cut, and the next request
//! gets its own answer.

use std::sync::{Arc, Mutex};

use harness::{Broken, Payload, Random, Reply, get, upstream};

const COUNT: usize = 1_500;

#[rustfmt::skip]
const SEEDS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: 1\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\nSet-Cookie: a=b\r\n\r\nhello",
];

const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
    b"0\r\n\r\n",
];

#[tokio::test]
async fn mutated_answers_reach_clients_well_formed_or_cut() {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let answer = bytes.clone();
    let up = upstream()
        .answer(move |seen| match seen.target.as_str() {
            "/victim" => Reply::text("clean"),
            _ => Reply::of(200, Payload::Raw(answer.lock().expect("no panic").clone())),
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up)
        .flag("--response-timeout", "2s")
        .start()
        .await;
    let mut victim = gw.connect().await;
    let mut random = Random::seeded(0x5851_f42d_4c95_7f2d);
    for _ in 0..COUNT {
        let mut changed = random.pick(SEEDS).to_vec();
        for _ in 0..=random.below(3) {
            random.mutate(&mut changed, PIECES);
        }
        bytes.lock().expect("no panic").clone_from(&changed);
        let shown = String::from_utf8_lossy(&changed);
        let mut connection = gw.connect().await;
        match connection.try_ask(&get("/").host("a.test")).await {
            Ok(_) | Err(Broken::Truncated | Broken::Closed) => {}
            Err(Broken::Malformed(what)) => panic!("{what} for {shown:?}"),
        }
        let clean = victim.ask(&get("/victim").host("a.test")).await;
        assert_eq!(clean.text(), "clean", "after {shown:?}");
    }
}
