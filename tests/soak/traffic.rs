//! Clients of every kind, at an even pace, and the backends that answer them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use harness::{Answer, Broken, Gateway, Payload, Reply, Request, Seen, TlsOptions, Upstream};
use harness::{get, pause, post, upstream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::watch::Figures;

/// What stands behind the gateway.
pub(crate) struct Backends {
    pub(crate) first: Upstream,
    pub(crate) second: Upstream,
    pub(crate) h2c: Upstream,
    pub(crate) flaky: Upstream,
}

impl Backends {
    pub(crate) async fn start() -> Self {
        let count = AtomicUsize::new(0);
        Self {
            first: upstream().name("first").answer(answer).start().await,
            second: upstream().name("second").answer(answer).start().await,
            h2c: upstream().http2().answer(answer).start().await,
            flaky: upstream()
                .answer(move |seen| match count.fetch_add(1, Relaxed) % 8 {
                    3 => Reply::of(200, Payload::Raw(TRUNCATED.to_vec())),
                    5 => Reply::of(500, Payload::Sized(b"it failed".to_vec())),
                    7 => Reply::of(200, Payload::Raw(Vec::new())),
                    _ => answer(seen),
                })
                .start()
                .await,
        }
    }

    /// Forgets what the backends saw, again and again: they would keep it for ever.
    pub(crate) async fn forget(self: Arc<Self>) {
        loop {
            for backend in [&self.first, &self.second, &self.h2c, &self.flaky] {
                backend.forget();
            }
            pause(Duration::from_secs(1)).await;
        }
    }
}

fn answer(seen: &Seen) -> Reply {
    match seen.target.as_str() {
        "/large" => Reply::of(200, Payload::Many(LARGE)),
        "/chat" => Reply::upgrade("websocket"),
        _ => Reply::echo(),
    }
}

/// Starts the clients.
pub(crate) fn start(tasks: &mut JoinSet<()>, gateway: &Arc<Gateway>, figures: &Arc<Figures>) {
    let all = || (Arc::clone(gateway), Arc::clone(figures));
    for host in ["plain.test", "filtered.test", "h2c.test"] {
        for _ in 0..2 {
            let (gateway, figures) = all();
            tasks.spawn_local(kept(gateway, figures, host));
        }
    }
    for _ in 0..2 {
        let (gateway, figures) = all();
        tasks.spawn_local(short(gateway, figures));
        let (gateway, figures) = all();
        tasks.spawn_local(http2(gateway, figures));
        let (gateway, figures) = all();
        tasks.spawn_local(tunnels(gateway, figures));
    }
    for think in [400, 900, 2_500, 9_000].map(Duration::from_millis) {
        let (gateway, figures) = all();
        tasks.spawn_local(slow(gateway, figures, think));
    }
    let (gateway, figures) = all();
    tasks.spawn_local(bodies(gateway, figures));
    let (gateway, figures) = all();
    tasks.spawn_local(aborts(gateway, figures));
    let (gateway, figures) = all();
    tasks.spawn_local(flaky(gateway, figures));
}

/// Judges an answer that must be a 200.
fn judge(
    figures: &Figures,
    began: Instant,
    what: &str,
    answer: Result<Answer, Broken>,
) -> Option<Answer> {
    match answer {
        Ok(answer) if answer.status == 200 => {
            figures.done(began);
            Some(answer)
        }
        Ok(answer) => {
            figures.error(&format!("{what}: {} {}", answer.status, answer.text()));
            None
        }
        Err(broken) => {
            figures.error(&format!("{what}: {broken:?}"));
            None
        }
    }
}

/// Many requests on a connection.
async fn kept(gateway: Arc<Gateway>, figures: Arc<Figures>, host: &str) {
    let asked = get("/").host(host);
    loop {
        let mut connection = gateway.connect().await;
        for _ in 0..500 {
            let began = Instant::now();
            let answer = connection.try_ask(&asked).await;
            let Some(answer) = judge(&figures, began, host, answer) else {
                break;
            };
            let version = answer.saw().header("x-version").map(str::to_owned);
            if host == "filtered.test" && version.is_none() {
                figures.error("a filter was skipped");
            }
            pause(PACE).await;
        }
    }
}

/// A connection a request, in the clear and with TLS.
async fn short(gateway: Arc<Gateway>, figures: Arc<Figures>) {
    let close = |host: &str| get("/").host(host).header("Connection", "close");
    loop {
        let began = Instant::now();
        let answer = gateway.connect().await.try_ask(&close("plain.test")).await;
        judge(&figures, began, "a connection a request", answer);
        pause(PACE).await;
        let began = Instant::now();
        let secure = gateway.tls(&TlsOptions::lenient(), "tls.test").await;
        let answer = secure.http1().try_ask(&close("tls.test")).await;
        judge(&figures, began, "a handshake a request", answer);
        pause(PACE).await;
    }
}

/// Who takes time before each step.
async fn slow(gateway: Arc<Gateway>, figures: Arc<Figures>, think: Duration) {
    let asked = get("/").host("plain.test");
    loop {
        let mut plain = gateway.connect().await;
        let secure = TcpStream::connect(gateway.https()).await;
        let secure = secure.expect("a connection");
        pause(think).await;
        let options = TlsOptions::lenient();
        let mut secure = match options.over(secure, "tls.test").await {
            Ok(handshake) => handshake.http1(),
            Err(error) => {
                figures.error(&format!("a slow handshake: {error}"));
                continue;
            }
        };
        for _ in 0..4 {
            pause(think).await;
            let began = Instant::now();
            judge(
                &figures,
                began,
                "a slow client",
                plain.try_ask(&asked).await,
            );
            let began = Instant::now();
            judge(
                &figures,
                began,
                "a slow client with TLS",
                secure.try_ask(&asked).await,
            );
        }
    }
}

/// Several requests at once on HTTP/2 connections over TLS.
async fn http2(gateway: Arc<Gateway>, figures: Arc<Figures>) {
    loop {
        let mut connection = gateway.http2_tls("tls.test").await;
        for _ in 0..200 {
            let began = Instant::now();
            let answer = connection.get("tls.test", "/").await;
            match (answer.status, answer.error) {
                (200, None) => figures.done(began),
                (status, error) => figures.error(&format!("HTTP/2: {status} {error:?}")),
            }
            pause(PACE).await;
        }
    }
}

/// Bodies of a mebibyte, both ways.
async fn bodies(gateway: Arc<Gateway>, figures: Arc<Figures>) {
    let body = vec![b'u'; usize::try_from(LARGE).unwrap_or_default()];
    loop {
        for host in ["plain.test", "h2c.test", "filtered.test"] {
            let mut connection = gateway.connect().await;
            let began = Instant::now();
            let answer = connection.try_ask(&post("/", &body).host(host)).await;
            let answer = judge(&figures, began, "an upload", answer);
            if answer.is_some_and(|answer| answer.saw().length != LARGE) {
                figures.error("an upload was cut short");
            }
            let began = Instant::now();
            let answer = connection.try_ask(&get("/large").host(host)).await;
            let answer = judge(&figures, began, "a download", answer);
            if answer.is_some_and(|answer| answer.body.len() as u64 != LARGE) {
                figures.error("a download was cut short");
            }
            pause(PACE).await;
        }
    }
}

fn chat() -> Request {
    get("/chat")
        .host("plain.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// WebSockets whose messages come back.
async fn tunnels(gateway: Arc<Gateway>, figures: Arc<Figures>) {
    loop {
        let mut connection = gateway.connect().await;
        connection.send(chat().bytes()).await;
        match connection.head("GET").await {
            Ok(answer) if answer.status == 101 => {}
            other => {
                figures.error(&format!("an upgrade: {other:?}"));
                continue;
            }
        }
        let mut stream = connection.into_stream();
        for size in [64, 1_000, 10_000, 125].into_iter().cycle().take(100) {
            let began = Instant::now();
            let (message, mut echo) = (vec![b'm'; size], vec![0; size]);
            let sent = stream.write_all(&message).await;
            let read = harness::within("an echo", stream.read_exact(&mut echo)).await;
            if sent.is_err() || read.is_err() || echo != message {
                figures.error(&format!("a message: {sent:?} {read:?}"));
                break;
            }
            figures.done(began);
            pause(PACE).await;
        }
    }
}

/// Clients that go in the middle of something.
async fn aborts(gateway: Arc<Gateway>, figures: Arc<Figures>) {
    for number in 0_usize.. {
        let mut connection = gateway.connect().await;
        match number % 5 {
            0 => {
                connection
                    .send(get("/large").host("plain.test").bytes())
                    .await;
                connection.some().await;
            }
            1 => {
                let asked = post("/", vec![b'a'; 100_000]).host("plain.test").bytes();
                connection
                    .send(asked.get(..50_000).unwrap_or_default())
                    .await;
            }
            2 => connection.send("GET / HTTP/1.1\r\nHost: pl").await,
            3 => {
                // A request that waits, on a connection with others.
                let mut http2 = gateway.http2().await;
                let request = http2.get("plain.test", "/large");
                let _late = tokio::time::timeout(Duration::from_millis(1), request).await;
            }
            _ => {
                connection
                    .send(get("/").host("filtered.test").bytes())
                    .await;
            }
        }
        drop(connection);
        figures.aborted.fetch_add(1, Relaxed);
        pause(PACE * 2).await;
    }
}

/// A Service with an endpoint that fails now and then: clients see it, and nobody else.
async fn flaky(gateway: Arc<Gateway>, figures: Arc<Figures>) {
    let asked = get("/").host("flaky.test");
    loop {
        let began = Instant::now();
        match gateway.connect().await.try_ask(&asked).await {
            Ok(answer) if answer.status == 200 => figures.done(began),
            Ok(answer) if matches!(answer.status, 500 | 502) => {
                figures.expected.fetch_add(1, Relaxed);
            }
            Err(Broken::Truncated) => {
                figures.expected.fetch_add(1, Relaxed);
            }
            other => figures.error(&format!("a failing backend: {other:?}")),
        }
        pause(PACE).await;
    }
}

/// Of a body.
const LARGE: u64 = 1 << 20;
/// Between two requests of a client: the gateway is to be busy, not full.
const PACE: Duration = Duration::from_millis(10);
const TRUNCATED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
