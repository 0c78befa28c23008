//! A client's connection: PROXY header, TLS, protocol, then requests until it ends.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    body::Answer,
    exchange::Exchange,
    forwarded::{Peer, is_trusted},
    gather::Gather,
    guard::Guard,
    linger::linger,
    listener::Kind,
    proxy_protocol::{HeaderError, Prefixed},
    request,
    stalls::{Conn, Framed, Verdict},
    stream::Stream,
    upstream::Local,
    worker::Worker,
};

/// What all requests of a connection share.
pub(crate) struct Session {
    pub(crate) worker: Rc<Worker>,
    pub(crate) conn: Arc<Conn>,
    pub(crate) peer: Peer,
    /// The name that the client asked for in its handshake.
    pub(crate) sni: Option<Arc<str>>,
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

/// Serves a connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, socket: TcpStream, address: SocketAddr, kind: Kind) {
    let conn = Conn::new();
    worker.connections.add(&conn);
    let setup = tokio::select! {
        biased;
        ready = set_up(&worker, socket, address, kind) => ready,
        // Whatever the verdict: there is nothing to finish yet.
        _ = conn.verdict() => Err(SetupError::Timeout),
    };
    let (stream, peer, spoken, read) = match setup {
        Ok(ready) => ready,
        Err(error) => {
            if matches!(error, SetupError::Timeout) {
                worker.stats.cut.fetch_add(1, Relaxed);
            }
            tracing::debug!(client = %address, %error, "connection ended early");
            return;
        }
    };
    let limits = &worker.gateway.settings.limits;
    let sni = match &stream {
        Stream::Tls(stream) => stream.get_ref().1.server_name().map(Arc::from),
        Stream::Plain(_) => None,
    };
    let session = Rc::new(Session {
        worker: Rc::clone(&worker),
        conn: Arc::clone(&conn),
        peer,
        sni,
    });
    match spoken {
        Spoken::Http1 => {
            conn.set_framed(Framed::Http1);
            let guard = Guard::new(stream, conn, limits, read);
            http1(session, guard).await;
        }
        Spoken::Http2 => {
            conn.set_framed(Framed::Http2);
            // It was still being set up when the others were asked to finish.
            if worker.gateway.is_draining() {
                conn.decide(Verdict::Finish);
            }
            let guard = Guard::http2(stream, conn, limits, read);
            http2(session, guard).await;
        }
    }
}

/// A client's socket.
type Socket = Stream<Prefixed<TcpStream>, TlsStream<Prefixed<TcpStream>>>;

type Ready = (Socket, Peer, Spoken, BytesMut);

/// From the accepted socket to the first bytes of HTTP.
async fn set_up(
    worker: &Worker,
    socket: TcpStream,
    address: SocketAddr,
    kind: Kind,
) -> Result<Ready, SetupError> {
    let settings = &worker.gateway.settings;
    let timeouts = &settings.timeouts;
    let mut socket = Prefixed::new(socket);
    let deadline = Instant::now() + timeouts.handshake;
    let mut source = address;
    if settings.proxy_protocol {
        let sender = address.ip().to_canonical();
        if !settings.trusted_proxies.is_empty() && !is_trusted(sender, &settings.trusted_proxies) {
            return Err(SetupError::Untrusted);
        }
        let header = timeout_at(deadline, socket.read_header())
            .await
            .map_err(|_| SetupError::Timeout)?;
        source = header?.unwrap_or(address);
    }
    let peer = Peer::new(source, kind == Kind::Https, &settings.trusted_proxies);
    let mut stream = match kind {
        Kind::Http => Stream::Plain(socket),
        Kind::Https => {
            let acceptor = TlsAcceptor::from(worker.gateway.tls());
            let handshake = timeout_at(deadline, acceptor.accept(socket)).await;
            let failed = |error| {
                worker.stats.failed_handshakes.fetch_add(1, Relaxed);
                error
            };
            let stream = handshake.map_err(|_| failed(SetupError::Timeout))?;
            let stream = stream.map_err(|error| failed(SetupError::Tls(error)))?;
            worker.stats.handshakes.fetch_add(1, Relaxed);
            Stream::Tls(Box::new(stream))
        }
    };
    let agreed = match &stream {
        Stream::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        Stream::Plain(_) => false,
    };
    let (spoken, read) = sniff(
        &mut stream,
        agreed,
        timeouts.client_idle,
        timeouts.h2_preface,
    )
    .await?;
    Ok((stream, peer, spoken, read))
}

/// Tells HTTP/2 from HTTP/1 by its preface (RFC 9113 section 3.4).
async fn sniff(
    stream: &mut Socket,
    agreed: bool,
    idle: Duration,
    preface: Duration,
) -> Result<(Spoken, BytesMut), SetupError> {
    let mut read = BytesMut::with_capacity(FIRST_READ);
    let first = timeout(
        if agreed { preface } else { idle },
        stream.read_buf(&mut read),
    )
    .await;
    if first.map_err(|_| SetupError::Timeout)?? == 0 {
        return Err(SetupError::Ended);
    }
    let deadline = Instant::now() + preface;
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
        if let Some([_, _, _, kind, flags, stream @ ..]) = read.get(PREFACE.len()..FIRST_FRAME) {
            let settings = *kind == 4 && flags & 1 == 0 && stream == [0; 4];
            return if settings {
                Ok((Spoken::Http2, read))
            } else {
                Err(SetupError::NoPreface)
            };
        }
        let more = timeout_at(deadline, stream.read_buf(&mut read)).await;
        if more.map_err(|_| SetupError::Timeout)?? == 0 {
            return Err(SetupError::Ended);
        }
    }
}

async fn http1(session: Rc<Session>, guard: Guard<Socket>) {
    let conn = Arc::clone(&session.conn);
    let stats = Rc::clone(&session.worker);
    let limits = &session.worker.gateway.settings.limits;
    let buffer = limits.write_buffer.max(limits.head_size + 8 * 1024);
    let service = service(Rc::clone(&session));
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(buffer)
        .serve_connection(TokioIo::new(guard), service)
        .with_upgrades();
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(client = %session.peer.address, %error, "connection ended");
                }
                break;
            }
            verdict = conn.verdict() => match verdict {
                Verdict::Finish => Pin::new(&mut connection).graceful_shutdown(),
                Verdict::Cut => {
                    stats.stats.cut.fetch_add(1, Relaxed);
                    return;
                }
            },
        }
    }
    // A reset would take back what was just written to a client that is still sending.
    if let Some(parts) = connection.into_parts() {
        let guard = parts.io.into_inner();
        if guard.unread() {
            linger(guard.into_inner()).await;
        }
    }
}

async fn http2(session: Rc<Session>, guard: Guard<Socket>) {
    let conn = Arc::clone(&session.conn);
    let limits = &session.worker.gateway.settings.limits;
    let list = u32::try_from(limits.head_size * 2).unwrap_or(u32::MAX);
    let gather = Gather::new(guard);
    let connection = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .initial_stream_window_size(limits.h2_stream_window)
        .initial_connection_window_size(limits.h2_connection_window)
        .max_pending_accept_reset_streams(limits.h2_pending_resets)
        .max_local_error_reset_streams(limits.h2_local_resets)
        .max_header_list_size(list)
        .max_send_buf_size(limits.write_buffer)
        .enable_connect_protocol()
        .serve_connection(TokioIo::new(gather.clone()), service(Rc::clone(&session)));
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|cx| turn(connection.as_mut(), &gather, cx)) => {
                if let Err(error) = ended {
                    tracing::debug!(client = %session.peer.address, %error, "connection ended");
                }
                return;
            }
            verdict = conn.verdict() => match verdict {
                Verdict::Finish => connection.as_mut().graceful_shutdown(),
                Verdict::Cut => {
                    session.worker.stats.cut.fetch_add(1, Relaxed);
                    return;
                }
            },
        }
    }
}

/// One turn of an HTTP/2 connection, and then what it has to say.
fn turn<C, E>(
    connection: Pin<&mut C>,
    gather: &Gather<Guard<Socket>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), E>>
where
    C: Future<Output = Result<(), E>>,
{
    if let Poll::Ready(ended) = connection.poll(cx) {
        gather.last_out(cx);
        return Poll::Ready(ended);
    }
    match gather.poll_out(cx) {
        // Nobody is there to hear: the connection is over.
        Poll::Ready(Err(_)) => Poll::Ready(Ok(())),
        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
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
