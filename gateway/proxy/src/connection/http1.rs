//! A client's connection that speaks HTTP/1.
//!
//! The parser holds 16 KiB of buffers for as long as it lives. Of a connection that is idle for a moment
//! nothing is in them: it is parked, without a parser, until its next byte comes.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;

use super::{Session, Socket, service};
use crate::{
    guard::Guard,
    linger::{self, linger},
    stalls::Verdict,
    stream::{Stream, Wire},
};

/// Serves it to its end.
pub(super) async fn serve<W: Wire>(session: Rc<Session>, mut guard: Box<Guard<Socket<W>>>) {
    // Boxed, so that a parked connection does not hold the room for it.
    while let Some(parked) = Box::pin(awake(&session, guard)).await {
        guard = parked;
        if !wait(&session, &guard).await {
            return;
        }
        session.conn.unpark();
    }
}

/// Serves requests until the connection ends, or is parked: then it comes back.
async fn awake<W: Wire>(
    session: &Rc<Session>,
    guard: Box<Guard<Socket<W>>>,
) -> Option<Box<Guard<Socket<W>>>> {
    let conn = Arc::clone(&session.conn);
    let limits = &session.worker.gateway.settings.limits;
    let buffer = limits.write_buffer.max(limits.head_size + 8 * 1024);
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(buffer)
        .serve_connection(TokioIo::new(guard), service(Rc::clone(session)))
        .with_upgrades();
    let failed = loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = &ended {
                    tracing::debug!(client = %session.peer.address, %error, "connection ended");
                }
                break ended.is_err();
            }
            verdict = conn.verdict() => match verdict {
                Verdict::Finish => Pin::new(&mut connection).graceful_shutdown(),
                Verdict::Cut => {
                    session.worker.stats.cut.fetch_add(1, Relaxed);
                    return None;
                }
                // A request may have come since: then it goes on.
                Verdict::Park if conn.park() => {
                    Pin::new(&mut connection).graceful_shutdown();
                }
                Verdict::Park => {}
            },
        }
    };
    let parts = connection.into_parts()?;
    let guard = parts.io.into_inner();
    if failed && conn.is_ended_by_close() {
        // An orderly close would say that this was all of the body.
        below(guard.get_ref()).reset_at_close();
        return None;
    }
    if conn.is_parked() && guard.is_between_messages() && parts.read_buf.is_empty() {
        return Some(guard);
    }
    // A reset would take back what was just written to a client that is still sending.
    if guard.unread() {
        linger(guard.into_inner(), linger::REFUSED).await;
    }
    None
}

/// Waits until there is something to read, or the end: whether it goes on.
async fn wait<W: Wire>(session: &Session, guard: &Guard<Socket<W>>) -> bool {
    loop {
        tokio::select! {
            biased;
            ready = poll_fn(|cx| poll_readable(guard.get_ref(), cx)) => return ready.is_ok(),
            verdict = session.conn.verdict() => match verdict {
                // Nothing runs that could be finished.
                Verdict::Finish => return false,
                Verdict::Cut => {
                    session.worker.stats.cut.fetch_add(1, Relaxed);
                    return false;
                }
                Verdict::Park => {}
            },
        }
    }
}

/// Ready when the socket below has something to read, be it its end.
fn poll_readable<W: Wire>(socket: &Socket<W>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    below(socket).poll_readable(cx)
}

/// What is below TLS.
fn below<W: Wire>(socket: &Socket<W>) -> &W {
    let below = match socket {
        Stream::Plain(socket) => socket,
        Stream::Tls(stream) => stream.get_ref().0,
    };
    below.get_ref()
}
