//! Field blocks of HTTP/2 with a few bytes changed: what reaches an HTTP/1.1 backend is well-formed,
//! and one request at most.

use harness::{Frame, Kind, Random, field, flag, upstream};

const COUNT: usize = 1_500;

/// What a request may be made of; the first four make a good one.
#[rustfmt::skip]
const FIELDS: &[(&str, &str)] = &[
    (":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/x?y"),
    ("host", "a.test"), ("host", "b.test"), ("content-length", "3"), ("content-length", "0"),
    ("transfer-encoding", "chunked"), ("connection", "x"), ("te", "trailers"), ("cookie", "a=1"),
    ("cookie", "b=2"), ("x", "1"), (":method", "POST"), (":path", "/z"), (":protocol", "websocket"),
    (":method", "CONNECT"), ("expect", "100-continue"), ("upgrade", "h2c"), ("", ""),
];

const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b": ",
    b" HTTP/1.1\r\nHost: a.test\r\n\r\nGET /smuggled",
    b"\r\nTransfer-Encoding: chunked",
];

/// A field block of good fields, some more, some changed.
fn block(random: &mut Random) -> Vec<u8> {
    let mut fields: Vec<(&str, &str)> = FIELDS[..4].to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(fields.len() + 1);
        fields.insert(at, FIELDS[random.below(FIELDS.len())]);
    }
    if random.below(3) == 0 {
        fields.remove(random.below(fields.len()));
    }
    let changed = random.below(fields.len() * 2);
    let mut out = Vec::new();
    for (number, (name, value)) in fields.into_iter().enumerate() {
        let (mut name, mut value) = (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        if number == changed {
            match random.below(3) {
                0 => random.mutate(&mut name, PIECES),
                _ => random.mutate(&mut value, PIECES),
            }
        }
        out.extend_from_slice(&field(&name, &value));
    }
    out
}

#[tokio::test]
async fn mutated_field_blocks_reach_backends_well_formed_or_not_at_all() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut random = Random::seeded(0x2545_f491_4f6c_dd1d);
    for _ in 0..COUNT {
        up.forget();
        let block = block(&mut random);
        let shown = String::from_utf8_lossy(&block);
        let with_body = random.below(2) == 0;
        let mut frames = gw.frames().await;
        let flags = flag::END_HEADERS | if with_body { 0 } else { flag::END_STREAM };
        frames
            .send(&Frame::of(Kind::Headers, flags, 1, &block))
            .await;
        if with_body {
            frames.send(&Frame::data(1, "abc", true)).await;
        }
        let verdict = frames.verdict(1).await;
        let violations = up.violations();
        assert!(
            violations.iter().all(|v| !v.contains("Malformed")),
            "{violations:?} for {shown:?}"
        );
        let seen = up.seen();
        assert!(seen.len() <= 1, "{seen:?} for {shown:?}: {verdict:?}");
        for one in &seen {
            let hosts = one.all("host");
            let known = hosts.len() == 1 && hosts[0].to_lowercase().starts_with("a.test");
            assert!(known, "{hosts:?} for {shown:?}");
            assert!(one.target.starts_with('/'), "{} for {shown:?}", one.target);
        }
    }
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 200);
}
