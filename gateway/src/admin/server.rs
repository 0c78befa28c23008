//! Serving the admin listener: HTTP/1.1, few connections, little patience.

use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{Admin, Scope};

/// Accepts and answers for as long as the process lives.
pub(crate) fn serve(
    listener: TcpListener,
    admin: Arc<Admin>,
    scope: Scope,
) -> std::io::Result<impl Future<Output = ()> + Send> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(async move {
        let mut open = Vec::new();
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    make_room(&mut open);
                    let task = tokio::spawn(connection(stream, Arc::clone(&admin), scope));
                    open.push(Open {
                        peer: peer.ip().to_canonical(),
                        task: task.abort_handle(),
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "the admin listener could not accept");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    })
}

/// A connection that may still be open.
struct Open {
    peer: IpAddr,
    task: AbortHandle,
}

/// Closes a connection where there are too many: the oldest of the peer that has most. Whoever fills them,
/// probes get their answer: that takes less than it takes to connect so often.
fn make_room(open: &mut Vec<Open>) {
    open.retain(|one| !one.task.is_finished());
    if open.len() < MOST_CONNECTIONS {
        return;
    }
    let held = |peer: IpAddr| open.iter().filter(|one| one.peer == peer).count();
    let most = open.iter().map(|one| held(one.peer)).max();
    if let Some(oldest) = open.iter().position(|one| Some(held(one.peer)) == most) {
        open.remove(oldest).task.abort();
    }
}

async fn connection(stream: TcpStream, admin: Arc<Admin>, scope: Scope) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = admin.answer(scope, request.method(), request.uri(), request.headers());
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off, or is too slow, needs no word.
    let _ = timeout(LONGEST, connection).await;
}

/// Connections at once.
const MOST_CONNECTIONS: usize = 64;
/// To the end of a request's head, also of the next one on a kept connection.
const HEAD: Duration = Duration::from_secs(30);
/// Of a connection.
const LONGEST: Duration = Duration::from_secs(600);
