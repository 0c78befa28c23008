//! Asking a running gateway's admin listener.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// Gets a path from the admin listener at this address.
pub(crate) fn get(admin: SocketAddr, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let answer = timeout(PATIENCE, exchange(admin, path)).await;
        answer.unwrap_or_else(|_| bail!("no answer within {} s", PATIENCE.as_secs()))
    })
}

async fn exchange(admin: SocketAddr, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(admin).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(header::HOST, admin.to_string())
        .body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MOST).collect().await;
    let body = body
        .map_err(|error| anyhow::anyhow!(error))
        .context("the answer broke off")?;
    Ok((head.status, body.to_bytes()))
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an answer may be, in bytes.
const MOST: usize = 64 << 20;
