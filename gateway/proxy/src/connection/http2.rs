//! A client's connection that speaks HTTP/2.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{Session, Socket, service};
use crate::{
    gather::Gather,
    guard::Guard,
    linger::{self, linger},
    stalls::Verdict,
    stream::Wire,
    upstream::Local,
};

/// Serves it to its end.
pub(super) async fn serve<W: Wire>(session: Rc<Session>, guard: Guard<Socket<W>>) {
    let gather = Gather::new(guard);
    match requests(&session, gather.clone()).await {
        Ok(Ended::Cut) => return,
        Ok(Ended::Finished) => {}
        Err(error) => {
            tracing::debug!(client = %session.peer.address, %error, "connection ended");
        }
    }
    // A reset would take back the frame that says why, and what the client has not read yet: reading it, it
    // sends frames that widen the window.
    if let Some(guard) = gather.into_inner() {
        linger(guard.into_inner(), linger::READING).await;
    }
}

/// How a connection ended.
enum Ended {
    Finished,
    Cut,
}

async fn requests<W: Wire>(
    session: &Rc<Session>,
    gather: Gather<Guard<Socket<W>>>,
) -> hyper::Result<Ended> {
    let limits = &session.worker.gateway.settings.limits;
    let list = u32::try_from(limits.head_size * 2).unwrap_or(u32::MAX);
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
        .serve_connection(TokioIo::new(gather.clone()), service(Rc::clone(session)));
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|cx| turn(connection.as_mut(), &gather, cx)) => return ended.map(|()| Ended::Finished),
            verdict = session.conn.verdict() => match verdict {
                Verdict::Finish => connection.as_mut().graceful_shutdown(),
                Verdict::Cut => {
                    session.worker.stats.cut.fetch_add(1, Relaxed);
                    return Ok(Ended::Cut);
                }
                Verdict::Park => {}
            },
        }
    }
}

/// One turn of an HTTP/2 connection, and then what it has to say.
fn turn<W, C, E>(
    connection: Pin<&mut C>,
    gather: &Gather<Guard<Socket<W>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), E>>
where
    W: Wire,
    C: Future<Output = Result<(), E>>,
{
    if let Poll::Ready(ended) = connection.poll(cx) {
        gather.last_out(cx, Guard::goaway);
        return Poll::Ready(ended);
    }
    match gather.poll_out(cx) {
        // Nobody is there to hear: the connection is over.
        Poll::Ready(Err(_)) => Poll::Ready(Ok(())),
        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
    }
}
