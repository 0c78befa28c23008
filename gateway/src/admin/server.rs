//! Serving the admin listener: HTTP/1.1, few connections, little patience.

use std::{convert::Infallible, future::Future, net::TcpListener, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::Semaphore,
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
        let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let permit = Arc::clone(&permits).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let admin = Arc::clone(&admin);
                    tokio::spawn(async move {
                        let _permit = permit;
                        connection(stream, admin, scope).await;
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

/// Connections at once; further ones wait.
const MOST_CONNECTIONS: usize = 64;
/// To the end of a request's head, also of the next one on a kept connection.
const HEAD: Duration = Duration::from_secs(30);
/// Of a connection.
const LONGEST: Duration = Duration::from_secs(600);
