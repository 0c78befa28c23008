//! Harmless requests with a few bytes changed: whatever becomes of them, what reaches a backend is
//! well-formed, and no request is seen that was not answered.

use std::time::Duration;

use harness::{Broken, Gateway, Random, Upstream};

use super::{framing, heads, works};

/// How many; each is made from the last one's random state.
const COUNT: usize = 3_000;

/// Pieces that change what a request means.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Host: b.test\r\n",
    b"Connection: close\r\n",
    b"0\r\n\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b" HTTP/1.1",
    b"chunked",
];

/// Sends bytes and ends the connection; how many answers were 200.
async fn answered(gw: &Gateway, bytes: &[u8]) -> Result<usize, String> {
    let mut connection = gw.connect().await;
    connection.send(bytes).await;
    connection.finish().await;
    let mut good = 0;
    loop {
        let method = if bytes.starts_with(b"HEAD") && good == 0 {
            "HEAD"
        } else {
            "GET"
        };
        match connection.answer(method).await {
            Ok(answer) if answer.status == 200 => good += 1,
            Ok(_) => {}
            Err(Broken::Closed | Broken::Truncated) => return Ok(good),
            // An answer to HEAD further on looks like the one after it.
            Err(Broken::Malformed(_)) if bytes.windows(4).any(|w| w == b"HEAD") => return Ok(good),
            Err(Broken::Malformed(what)) => return Err(what),
        }
    }
}

async fn check(gw: &Gateway, up: &Upstream, bytes: &[u8]) {
    up.forget();
    let shown = String::from_utf8_lossy(bytes);
    let good = answered(gw, bytes).await;
    let good = good.unwrap_or_else(|what| panic!("{what} for {shown:?}"));
    let violations = up.violations();
    assert!(
        violations.iter().all(|v| !v.contains("Malformed")),
        "{violations:?} for {shown:?}"
    );
    let seen = up.seen();
    let complete = seen.iter().filter(|seen| seen.complete).count();
    assert!(
        complete <= good,
        "{good} answers, but {seen:?} for {shown:?}"
    );
    for one in &seen {
        let hosts = one.all("host");
        assert!(
            hosts.len() == 1 && hosts[0].to_lowercase().starts_with("a.test"),
            "{hosts:?} for {shown:?}"
        );
        assert!(one.target.starts_with('/'), "{} for {shown:?}", one.target);
    }
}

#[tokio::test]
async fn mutated_requests_reach_backends_well_formed_or_not_at_all() {
    let (gw, up) = super::start().await;
    let mut random = Random::seeded(0x9e37_79b9_7f4a_7c15);
    let good = works::CASES.iter().map(|case| case.1);
    let bad = heads::CASES.iter().chain(framing::CASES).map(|case| case.1);
    let seeds: Vec<&[u8]> = good.chain(bad).collect();
    for _ in 0..COUNT {
        let mut bytes = random.pick(&seeds).to_vec();
        for _ in 0..=random.below(3) {
            random.mutate(&mut bytes, PIECES);
        }
        let what = format!("the end of {:?}", String::from_utf8_lossy(&bytes));
        harness::within_time(Duration::from_secs(15), &what, check(&gw, &up, &bytes)).await;
    }
}
