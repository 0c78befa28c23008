//! Backends: one that tells what it saw, and ones that misbehave on purpose.

mod h1;
mod h2;
mod reply;
mod seen;

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

pub use reply::{Gate, Payload, Reply};
pub use seen::Seen;

use crate::{Pair, Stream, self_signed};

type Answering = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;
type Playing =
    Arc<dyn Fn(TcpStream, usize) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A backend in the making.
pub struct UpstreamBuilder {
    name: String,
    answer: Answering,
    protocol: Protocol,
    tls: Option<TlsAcceptor>,
    address: SocketAddr,
}

enum Protocol {
    Http1,
    Http2,
    Raw(Playing),
}

/// A backend that echoes, over HTTP/1.1.
pub fn upstream() -> UpstreamBuilder {
    UpstreamBuilder {
        name: "echo".into(),
        answer: Arc::new(|_| Reply::echo()),
        protocol: Protocol::Http1,
        tls: None,
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
    }
}

impl UpstreamBuilder {
    /// The name that it answers with.
    pub fn name(self, name: &str) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// Answers otherwise than by echoing.
    pub fn answer(self, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            ..self
        }
    }

    /// Speaks HTTP/2 with prior knowledge.
    pub fn http2(self) -> Self {
        Self {
            protocol: Protocol::Http2,
            ..self
        }
    }

    /// Speaks over TLS, with a certificate that nobody trusts.
    pub fn tls(self) -> Self {
        let pair = self_signed(&["backend.invalid"]);
        let tls = Some(pair.acceptor(&["h2", "http/1.1"]));
        Self { tls, ..self }
    }

    /// Speaks HTTP/1.1 over TLS, with this certificate.
    pub fn tls_as(self, pair: &Pair) -> Self {
        let tls = Some(pair.acceptor(&["http/1.1"]));
        Self { tls, ..self }
    }

    /// Listens there.
    pub fn at(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// Does with each connection whatever `play` does; the number counts them.
    pub fn raw<F>(self, play: impl Fn(TcpStream, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let play: Playing = Arc::new(move |stream, number| Box::pin(play(stream, number)));
        Self {
            protocol: Protocol::Raw(play),
            ..self
        }
    }

    /// Reads a head on each connection, sends exactly these bytes and closes.
    pub fn bytes(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.raw(move |stream, _| h1::play(stream, bytes.clone()))
    }

    /// Listens.
    pub async fn start(self) -> Upstream {
        let listener = TcpListener::bind(self.address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let record = Arc::new(Record::default());
        let server = Server {
            name: self.name,
            answer: self.answer,
            protocol: self.protocol,
            tls: self.tls,
            record: record.clone(),
        };
        let task = tokio::spawn(Arc::new(server).accept(listener));
        Upstream {
            address,
            record,
            task,
        }
    }
}

/// A running backend; it stops with this value, and its connections with it.
pub struct Upstream {
    address: SocketAddr,
    record: Arc<Record>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests whose head came, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.record.lock().clone()
    }

    /// The only request whose head came.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "requests: {seen:?}");
        seen.into_iter().next().expect("one request")
    }

    /// How many requests came to their end.
    pub fn complete(&self) -> usize {
        self.record
            .lock()
            .iter()
            .filter(|seen| seen.complete)
            .count()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.record.connections.load(Ordering::SeqCst)
    }

    /// How many body bytes came so far.
    pub fn body_bytes(&self) -> u64 {
        self.record.body_bytes.load(Ordering::SeqCst)
    }

    /// What broke the protocol on the way here: must stay empty.
    pub fn violations(&self) -> Vec<String> {
        self.record
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets what was seen.
    pub fn forget(&self) {
        self.record.lock().clear();
        self.record
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Stops listening and closes all connections.
    pub async fn stop(mut self) -> SocketAddr {
        self.task.abort();
        let _aborted = (&mut self.task).await;
        self.address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a backend has seen.
#[derive(Default)]
struct Record {
    seen: Mutex<Vec<Seen>>,
    violations: Mutex<Vec<String>>,
    connections: AtomicUsize,
    body_bytes: AtomicU64,
}

impl Record {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request whose head came; its place.
    fn begin(&self, seen: Seen) -> usize {
        let mut all = self.lock();
        all.push(seen);
        all.len() - 1
    }

    /// Notes that it is complete. It may have been forgotten meanwhile.
    fn end(&self, place: usize, seen: &Seen) {
        if let Some(own) = self.lock().get_mut(place) {
            *own = seen.clone();
        }
    }

    fn violation(&self, text: String) {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }
}

struct Server {
    name: String,
    answer: Answering,
    protocol: Protocol,
    tls: Option<TlsAcceptor>,
    record: Arc<Record>,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            stream.set_nodelay(true).expect("a TCP socket");
            let number = self.record.connections.fetch_add(1, Ordering::SeqCst);
            connections.spawn(self.clone().serve(stream, number));
            while connections.try_join_next().is_some() {}
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, number: usize) {
        if let Protocol::Raw(play) = &self.protocol {
            return play(stream, number).await;
        }
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => Box::new(stream),
                Err(error) => return self.record.violation(format!("handshake: {error}")),
            },
        };
        match self.protocol {
            Protocol::Http2 => h2::serve(&self, stream, number).await,
            Protocol::Http1 | Protocol::Raw(_) => h1::serve(&self, stream, number).await,
        }
    }
}
