//! Another protocol on the same connection: HTTP/1.1 Upgrade (RFC 9110 section 7.8) and WebSocket over
//! HTTP/2 (RFC 8441). Nothing is passed on before the backend has agreed.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, request, response};
use hyper::{ext::Protocol as ConnectProtocol, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use route::Protocol;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::sleep,
};

use crate::{
    authority::Subject,
    error::Reason,
    exchange::Exchange,
    hop::{self, Hop},
    stalls,
    sweep::SWEEP,
    upstream::{Lease, Reply},
    worker::Worker,
};

/// The protocol that a request wants to go on with.
#[derive(Debug)]
pub(crate) enum Wish {
    /// By `Upgrade`, to this one.
    Upgrade(HeaderValue),
    /// WebSocket by an extended CONNECT.
    Connect,
}

/// The two sides of a tunnel, before either has been handed over.
pub(crate) struct Sides {
    client: OnUpgrade,
    backend: OnUpgrade,
    lease: Lease,
}

/// Whether the parser would let go of the client's connection after this request.
pub(crate) fn is_possible(head: &request::Parts) -> bool {
    head.extensions.get::<OnUpgrade>().is_some()
}

/// The client's side of an upgrade, should one come about.
pub(crate) fn client_side(head: &mut request::Parts) -> Option<OnUpgrade> {
    head.extensions.remove::<OnUpgrade>()
}

impl Wish {
    /// What the request asks for, where the backend's protocol can give it.
    pub(crate) fn of(
        subject: &Subject,
        hop: &Hop,
        protocol: Protocol,
        version: Version,
    ) -> Result<Option<Self>, Reason> {
        let http1 = matches!(protocol, Protocol::Http | Protocol::Https);
        match &subject.connect {
            Some(connect) if connect.as_str() == "websocket" && http1 => Ok(Some(Self::Connect)),
            Some(_) => Err(Reason::BadRequest(
                "is a CONNECT to a protocol that the backend cannot be asked for",
            )),
            None if http1 && version == Version::HTTP_11 => {
                Ok(hop.upgrade.clone().map(Self::Upgrade))
            }
            None => Ok(None),
        }
    }

    pub(crate) fn is_connect(&self) -> bool {
        matches!(self, Self::Connect)
    }

    /// Writes the wish into the request for the backend.
    pub(crate) fn write(&self, head: &mut request::Parts) {
        head.headers
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        match self {
            Self::Upgrade(protocol) => {
                head.headers.insert(header::UPGRADE, protocol.clone());
            }
            Self::Connect => {
                head.method = Method::GET;
                head.extensions.remove::<ConnectProtocol>();
                head.headers.remove(header::CONTENT_LENGTH);
                head.headers
                    .insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                let nonce: [u8; 16] = fastrand::u128(..).to_ne_bytes();
                if let Ok(key) = HeaderValue::try_from(BASE64_STANDARD.encode(nonce)) {
                    head.headers.insert(header::SEC_WEBSOCKET_KEY, key);
                }
            }
        }
    }

    /// Takes the backend's 101, if it is one to this wish.
    pub(crate) fn accept(
        self,
        mut reply: Reply,
        client: Option<OnUpgrade>,
    ) -> Result<(response::Parts, Sides), Reason> {
        let client = client.ok_or(Reason::BadResponse)?;
        let wanted = match &self {
            Self::Upgrade(protocol) => protocol.clone(),
            Self::Connect => HeaderValue::from_static("websocket"),
        };
        if !agrees(reply.response.headers(), &wanted) {
            return Err(Reason::BadResponse);
        }
        let backend = hyper::upgrade::on(&mut reply.response);
        let (mut head, _) = reply.response.into_parts();
        let given = head.headers.get(header::UPGRADE).cloned();
        hop::strip(&mut head.headers).map_err(|_| Reason::BadResponse)?;
        match self {
            Self::Upgrade(_) => {
                head.headers
                    .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                if let Some(given) = given {
                    head.headers.insert(header::UPGRADE, given);
                }
            }
            Self::Connect => {
                head.status = StatusCode::OK;
                head.headers.remove(header::SEC_WEBSOCKET_ACCEPT);
            }
        }
        Ok((
            head,
            Sides {
                client,
                backend,
                lease: reply.lease,
            },
        ))
    }
}

/// Whether a 101 switches to one of the protocols that were asked for.
fn agrees(headers: &HeaderMap, wanted: &HeaderValue) -> bool {
    let list = |value: &HeaderValue| -> Vec<Vec<u8>> {
        value
            .as_bytes()
            .split(|&b| b == b',')
            .map(|p| p.trim_ascii().to_ascii_lowercase())
            .collect()
    };
    let mut options = headers.get_all(header::CONNECTION).iter().flat_map(list);
    let wanted = list(wanted);
    let given = headers.get(header::UPGRADE).map(list).unwrap_or_default();
    options.any(|option| option == b"upgrade")
        && !given.is_empty()
        && given.iter().all(|g| wanted.contains(g))
}

/// Carries bytes both ways until both sides have ended, or nothing comes for too long.
pub(crate) fn open(worker: &Rc<Worker>, sides: Sides, mut exchange: Exchange) {
    exchange.set_status(StatusCode::SWITCHING_PROTOCOLS);
    let idle = match exchange.route() {
        Some(route) if route.idle_is_own => route.idle_timeout,
        _ => exchange.stream_idle(),
    };
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        worker.stats.tunnels.fetch_add(1, Relaxed);
        let Sides {
            client,
            backend,
            lease,
        } = sides;
        if let (Ok(client), Ok(backend)) = (client.await, backend.await) {
            exchange.conn().set_tunnel();
            let moved = Rc::new(Cell::new(stalls::now()));
            let mut client = Watched {
                stream: TokioIo::new(client),
                moved: Rc::clone(&moved),
            };
            let mut backend = Watched {
                stream: TokioIo::new(backend),
                moved: Rc::clone(&moved),
            };
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut backend) => {}
                () = silence(&moved, idle) => {}
            }
        }
        exchange.complete();
        worker.stats.tunnels.fetch_sub(1, Relaxed);
        drop(lease);
    });
}

/// Ends when nothing has moved for `idle`. What is noted may be as old as the last sweep.
async fn silence(moved: &Cell<u64>, idle: Duration) {
    loop {
        let silent = Duration::from_millis(stalls::tick().saturating_sub(moved.get()));
        match (idle + SWEEP).checked_sub(silent) {
            Some(left) if !left.is_zero() => sleep(left).await,
            _ => return,
        }
    }
}

/// A stream that notes when bytes moved.
struct Watched<S> {
    stream: S,
    moved: Rc<Cell<u64>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if poll.is_ready() {
            self.moved.set(stalls::now());
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
