//! Load, each as long as it is told, saying how much was done.

use std::{
    cell::{Cell, RefCell},
    process::Stdio,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{process::Command, task};
use tokio_rustls::TlsConnector;

use crate::{LOAD_CORE, backend::MEBIBYTE, client::Client, peers::Proxy};

/// What clients do.
#[derive(Clone)]
pub(crate) enum Load {
    /// Connections that have one request under way each; the requests in turn.
    KeepAlive(Rc<Vec<Vec<u8>>>),
    /// The same in TLS.
    Tls(Rc<Vec<Vec<u8>>>, TlsConnector),
    /// A connection a request.
    Connections(Vec<u8>),
    /// A connection with a full handshake a request.
    Handshakes(Vec<u8>, TlsConnector),
    /// HTTP/2 over TLS, by h2load.
    Http2,
    /// Requests with a body or answers with one, of a mebibyte.
    Bodies(Vec<u8>),
    /// Messages of 64 bytes and their echoes.
    WebSocket,
}

impl Load {
    /// Puts it on a proxy, and says how often it was done.
    pub(crate) async fn run(&self, proxy: &Proxy, time: Duration) -> u64 {
        let end = Instant::now() + time;
        match self {
            Self::KeepAlive(requests) => {
                let next = shared(Rc::clone(requests));
                many(64, end, async |done| {
                    let mut client = Client::plain(proxy.http).await;
                    while done() {
                        client.send(&next()).await;
                        client.answer().await;
                    }
                })
                .await
            }
            Self::Tls(requests, connector) => {
                let next = shared(Rc::clone(requests));
                many(64, end, async |done| {
                    let mut client = Client::tls(proxy.https, connector).await;
                    while done() {
                        client.send(&next()).await;
                        client.answer().await;
                    }
                })
                .await
            }
            Self::Connections(request) => {
                many(32, end, async |done| {
                    while done() {
                        let mut client = Client::plain(proxy.http).await;
                        client.send(request).await;
                        client.answer().await;
                    }
                })
                .await
            }
            Self::Handshakes(request, connector) => {
                many(16, end, async |done| {
                    while done() {
                        let mut client = Client::tls(proxy.https, connector).await;
                        client.send(request).await;
                        client.answer().await;
                    }
                })
                .await
            }
            Self::Http2 => h2load(proxy, time).await,
            Self::Bodies(request) => {
                many(8, end, async |done| {
                    let mut client = Client::plain(proxy.http).await;
                    while done() {
                        client.send(request).await;
                        client.answer().await;
                    }
                })
                .await
            }
            Self::WebSocket => {
                many(64, end, async |done| {
                    let mut client = Client::plain(proxy.http).await;
                    client.send(UPGRADE.as_bytes()).await;
                    client.answer().await;
                    while done() {
                        client.send(&[0x81; MESSAGE]).await;
                        client.exactly(MESSAGE).await;
                    }
                })
                .await
            }
        }
    }
}

/// Runs so many clients. Each is told before each turn whether to go on, which counts the turn.
async fn many(clients: usize, end: Instant, client: impl AsyncFn(&dyn Fn() -> bool)) -> u64 {
    let turns = Cell::new(0);
    let done = || {
        let more = Instant::now() < end;
        turns.set(turns.get() + u64::from(more));
        more
    };
    let all = (0..clients).map(|_| client(&done));
    futures_util::future::join_all(all).await;
    turns.get()
}

/// The requests in an order that repeats only after all of them.
fn shared(requests: Rc<Vec<Vec<u8>>>) -> impl Fn() -> Vec<u8> {
    let at = RefCell::new(0_usize);
    move || {
        let mut at = at.borrow_mut();
        // 7,919 is a prime: neighbours are far apart, and none is left out.
        *at = (*at + 7919) % requests.len();
        requests.get(*at).cloned().unwrap_or_default()
    }
}

async fn h2load(proxy: &Proxy, time: Duration) -> u64 {
    let child = Command::new("taskset")
        .args(["-c", &LOAD_CORE.to_string(), "h2load", "-c16", "-m16"])
        .args(["-D", &time.as_secs().max(1).to_string(), "--connect-to"])
        .arg(proxy.https.to_string())
        .arg("https://a.test/some/path?and=query")
        .stdin(Stdio::null())
        .output();
    let output = task::spawn_local(child).await.expect("a task");
    let output = output.expect("h2load, of nghttp2-client");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("requests: "))
        .unwrap_or_else(|| panic!("h2load: {text}"));
    let count = |word: &str| -> u64 {
        let part = line.split(", ").find_map(|part| part.strip_suffix(word));
        part.and_then(|number| number.trim().parse().ok())
            .unwrap_or_else(|| panic!("h2load: {line}"))
    };
    assert_eq!(count(" failed"), 0, "{}: {text}", proxy.name);
    count(" succeeded")
}

/// A text message of 64 bytes as a client sends it: two bytes, the mask, the text.
const MESSAGE: usize = 70;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: a.test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A request of a browser.
pub(crate) fn get(host: &str, path: &str, more: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\n\
        user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
        accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
        accept-language: en-US,en;q=0.5\r\naccept-encoding: gzip, deflate\r\n{more}\r\n"
    )
    .into_bytes()
}

/// An upload of a mebibyte.
pub(crate) fn upload() -> Vec<u8> {
    let head = format!("POST /up HTTP/1.1\r\nhost: a.test\r\ncontent-length: {MEBIBYTE}\r\n\r\n");
    [head.as_bytes(), &vec![b'y'; MEBIBYTE]].concat()
}
