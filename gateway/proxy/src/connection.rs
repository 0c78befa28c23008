//! A client's connection: PROXY header, TLS, protocol, then requests until it ends.

mod http1;
mod http2;

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::BytesMut;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use tokio::io::AsyncReadExt;
use tokio_rustls::server::TlsStream;

use crate::{
    body::Answer,
    exchange::Exchange,
    forwarded::{Peer, is_trusted},
    guard::Guard,
    listener::Kind,
    metrics::WorkerStats,
    proxy_protocol::{HeaderError, Prefixed},
    request,
    stalls::{Conn, Framed, Verdict},
    stream::{Stream, Wire},
    tls,
    worker::{Open, Worker},
};

/// What all requests of a connection share.
pub(crate) struct Session {
    pub(crate) worker: Rc<Worker>,
    pub(crate) conn: Arc<Conn>,
    pub(crate) peer: Peer,
    /// The name that the client asked for in its handshake.
    pub(crate) sni: Option<Arc<str>>,
    _open: Open,
}

/// Why a connection ends before its first request.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    #[error("ended before it sent anything")]
    Ended,
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("did not speak HTTP/2 though it agreed to")]
    NoPreface,
    #[error("took too long")]
    Timeout,
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    #[error("sent a PROXY header but is no trusted proxy")]
    Untrusted,
}

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Http1,
    Http2,
}

/// Serves a connection to its end. What it is made of lies in boxes: a task is moved about while it is
/// spawned, and keeps room for the largest of its steps for as long as it runs.
pub(crate) async fn serve<W: Wire>(worker: Rc<Worker>, open: Open, accepted: Accepted<W>) {
    let conn = Conn::new();
    let listed = worker.connections.add(&conn);
    let admitted = Box::pin(admit(&worker, &conn, open, accepted)).await;
    if let Some((session, guard, spoken)) = admitted {
        match spoken {
            Spoken::Http1 => http1::serve(session, guard).await,
            Spoken::Http2 => Box::pin(http2::serve(session, *guard)).await,
        }
    }
    worker.connections.remove(listed, &conn);
}

/// A connection as it was accepted.
pub(crate) type Accepted<W> = (W, SocketAddr, Kind);

/// A connection that has begun to speak HTTP.
type Admitted<W> = (Rc<Session>, Box<Guard<Socket<W>>>, Spoken);

/// Sets a connection up; `None` where it ended before its first request.
async fn admit<W: Wire>(
    worker: &Rc<Worker>,
    conn: &Arc<Conn>,
    open: Open,
    accepted: Accepted<W>,
) -> Option<Admitted<W>> {
    let client = accepted.1;
    let setup = tokio::select! {
        biased;
        ready = set_up(worker, conn, accepted) => ready,
        // Whatever the verdict: there is nothing to finish yet.
        _ = conn.verdict() => Err(SetupError::Timeout),
    };
    match setup {
        Ok(ready) => Some(guarded(worker, conn, open, ready)),
        Err(error) => {
            if matches!(error, SetupError::Timeout) {
                worker.stats.cut.fetch_add(1, Relaxed);
            }
            tracing::debug!(%client, %error, "connection ended early");
            None
        }
    }
}

/// Puts the guard before what has been set up.
fn guarded<W: Wire>(
    worker: &Rc<Worker>,
    conn: &Arc<Conn>,
    open: Open,
    (stream, peer, spoken, read): Ready<W>,
) -> Admitted<W> {
    let limits = &worker.gateway.settings.limits;
    let sni = match &stream {
        Stream::Tls(stream) => stream.get_ref().1.server_name().map(Arc::from),
        Stream::Plain(_) => None,
    };
    let session = Rc::new(Session {
        worker: Rc::clone(worker),
        conn: Arc::clone(conn),
        peer,
        sni,
        _open: open,
    });
    let plain = matches!(stream, Stream::Plain(_));
    let conn = Arc::clone(conn);
    let guard = match spoken {
        Spoken::Http1 => {
            conn.set_framed(Framed::Http1);
            let mut guard = Guard::new(stream, conn, limits, read);
            if plain {
                guard.spare_shutdown();
            }
            guard
        }
        Spoken::Http2 => {
            conn.set_framed(Framed::Http2);
            // It was still being set up when the others were asked to finish.
            if worker.gateway.is_draining() {
                conn.decide(Verdict::Finish);
            }
            Guard::http2(stream, conn, limits, read)
        }
    };
    (session, Box::new(guard), spoken)
}

/// A client's socket.
type Socket<W> = Stream<Prefixed<W>, TlsStream<Prefixed<W>>>;

type Ready<W> = (Socket<W>, Peer, Spoken, BytesMut);

/// From the accepted socket to the first bytes of HTTP. The sweep ends what takes too long.
async fn set_up<W: Wire>(
    worker: &Worker,
    conn: &Conn,
    (socket, address, kind): Accepted<W>,
) -> Result<Ready<W>, SetupError> {
    let settings = &worker.gateway.settings;
    let timeouts = &settings.timeouts;
    let mut socket = Prefixed::new(socket);
    conn.begin_step(timeouts.handshake);
    let mut source = address;
    if settings.proxy_protocol {
        let sender = address.ip().to_canonical();
        if !settings.trusted_proxies.is_empty() && !is_trusted(sender, &settings.trusted_proxies) {
            return Err(SetupError::Untrusted);
        }
        source = socket.read_header().await?.unwrap_or(address);
    }
    let peer = Peer::new(source, kind == Kind::Https, &settings.trusted_proxies);
    let mut stream = match kind {
        Kind::Http => Stream::Plain(socket),
        Kind::Https => {
            let (stats, failed) = (&worker.stats, true);
            let mut attempt = Attempt { stats, failed };
            let stream = Box::pin(tls::shake_hands(socket, worker)).await;
            let stream = stream.map_err(SetupError::Tls)?;
            attempt.failed = false;
            Stream::Tls(Box::new(stream))
        }
    };
    let agreed = match &stream {
        Stream::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        Stream::Plain(_) => false,
    };
    let patience = match agreed {
        true => timeouts.h2_preface,
        false => timeouts.client_idle,
    };
    conn.begin_step(patience);
    let (spoken, read) =
        sniff(&mut stream, agreed, || conn.begin_step(timeouts.h2_preface)).await?;
    Ok((stream, peer, spoken, read))
}

/// A handshake, which has failed however it is given up.
struct Attempt<'a> {
    stats: &'a WorkerStats,
    failed: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let count = match self.failed {
            true => &self.stats.failed_handshakes,
            false => &self.stats.handshakes,
        };
        count.fetch_add(1, Relaxed);
    }
}

/// Tells HTTP/2 from HTTP/1 by its preface (RFC 9113 section 3.4); `begun` is told when one begins.
async fn sniff<W: Wire>(
    stream: &mut Socket<W>,
    agreed: bool,
    begun: impl Fn(),
) -> Result<(Spoken, BytesMut), SetupError> {
    let mut read = BytesMut::with_capacity(FIRST_READ);
    if stream.read_buf(&mut read).await? == 0 {
        return Err(SetupError::Ended);
    }
    let mut begun = Some(begun);
    loop {
        let seen = read.len().min(PREFACE.len());
        if read.get(..seen) != PREFACE.get(..seen) {
            return if agreed {
                Err(SetupError::NoPreface)
            } else {
                Ok((Spoken::Http1, read))
            };
        }
        // The preface ends with a SETTINGS frame, which may be empty.
        if read.len() >= FIRST_FRAME {
            return Ok((Spoken::Http2, read));
        }
        if let Some(begun) = begun.take() {
            begun();
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(SetupError::Ended);
        }
    }
}

fn service(
    session: Rc<Session>,
) -> impl hyper::service::HttpService<
    Incoming,
    ResBody = Answer,
    Error = std::convert::Infallible,
    Future: Future<Output = Result<Response<Answer>, std::convert::Infallible>>,
> + Unpin {
    service_fn(move |request: Request<Incoming>| {
        // Begun here and not when first polled: the guard asks in between whether anyone waits.
        let exchange = Exchange::begin(&session);
        let session = Rc::clone(&session);
        // Boxed: the parser keeps room for it in every idle connection, and moves it about.
        Box::pin(request::serve(session, exchange, request))
    })
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Where the header of the first frame ends.
const FIRST_FRAME: usize = PREFACE.len() + 9;
const FIRST_READ: usize = 4 * 1024;
