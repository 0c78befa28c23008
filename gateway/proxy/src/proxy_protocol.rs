//! The PROXY protocol, versions 1 and 2: the client's address from a load balancer in front.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// A stream with bytes that were read from it before.
pub(crate) struct Prefixed<S> {
    prefix: BytesMut,
    stream: S,
}

/// Why a connection without a proper header is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("does not begin with a PROXY header")]
    Invalid,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("has a PROXY header that is too long")]
    TooLong,
}

impl<S> Prefixed<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            prefix: BytesMut::new(),
            stream,
        }
    }

    /// The stream below.
    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> Prefixed<S> {
    /// Reads the header; the client's address where it tells one. A load balancer's own health
    /// checks (`LOCAL`, `UNKNOWN`) tell none.
    pub(crate) async fn read_header(&mut self) -> Result<Option<SocketAddr>, HeaderError> {
        loop {
            if !self.prefix.is_empty() {
                match HeaderResult::parse(&self.prefix) {
                    HeaderResult::V2(Ok(header)) => {
                        let (address, len) = (address_v2(&header), header.len());
                        self.prefix.advance(len);
                        return Ok(address);
                    }
                    HeaderResult::V1(Ok(header)) => {
                        let (address, len) = (address_v1(&header), header.header.len());
                        self.prefix.advance(len);
                        return Ok(address);
                    }
                    incomplete if incomplete.is_incomplete() => {}
                    HeaderResult::V1(_) | HeaderResult::V2(_) => return Err(HeaderError::Invalid),
                }
            }
            if self.prefix.len() > MAX_HEADER {
                return Err(HeaderError::TooLong);
            }
            if self.stream.read_buf(&mut self.prefix).await? == 0 {
                return Err(HeaderError::Invalid);
            }
        }
    }
}

fn address_v2(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(a)) => {
            Some((a.source_address, a.source_port).into())
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(a)) => {
            Some((a.source_address, a.source_port).into())
        }
        _ => None,
    }
}

fn address_v1(header: &v1::Header<'_>) -> Option<SocketAddr> {
    match header.addresses {
        v1::Addresses::Tcp4(a) => Some((a.source_address, a.source_port).into()),
        v1::Addresses::Tcp6(a) => Some((a.source_address, a.source_port).into()),
        v1::Addresses::Unknown => None,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.prefix.len().min(buf.remaining());
        buf.put_slice(self.prefix.get(..count).unwrap_or_default());
        self.prefix.advance(count);
        if self.prefix.is_empty() {
            self.prefix = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Far above any address, below what would cost anything.
const MAX_HEADER: usize = 4 * 1024;

#[cfg(test)]
mod tests;
