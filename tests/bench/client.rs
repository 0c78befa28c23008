//! A client's connection, plain or in TLS.

use std::{net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A connection with what was read of it and not yet used.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn plain(address: SocketAddr) -> Self {
        Self::over(Box::new(connect(address).await))
    }

    pub(crate) async fn tls(address: SocketAddr, connector: &TlsConnector) -> Self {
        let name = ServerName::try_from("a.test").expect("a name");
        let stream = connector.connect(name, connect(address).await).await;
        Self::over(Box::new(stream.expect("a handshake")))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            read: Vec::with_capacity(65536),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the proxy takes it");
        self.stream.flush().await.expect("the proxy takes it");
    }

    /// Reads an answer, which must be a 200, or the 101 of an upgrade; its body is dropped.
    pub(crate) async fn answer(&mut self) -> String {
        let end = loop {
            match head_end(&self.read) {
                Some(end) => break end,
                None => self.more().await,
            }
        };
        let head: Vec<u8> = self.read.drain(..end).collect();
        let mut body = length(&head);
        let head = String::from_utf8(head).expect("a head in ASCII");
        let known = ["HTTP/1.1 200", "HTTP/1.1 101"];
        assert!(known.iter().any(|known| head.starts_with(known)), "{head}");
        loop {
            body -= self.read.drain(..body.min(self.read.len())).len();
            if body == 0 {
                return head;
            }
            self.more().await;
        }
    }

    /// Reads so many bytes of an upgraded stream.
    pub(crate) async fn exactly(&mut self, count: usize) {
        while self.read.len() < count {
            self.more().await;
        }
        self.read.drain(..count);
    }

    async fn more(&mut self) {
        let some = self.stream.read_buf(&mut self.read).await;
        let some = some.expect("the proxy answers");
        assert_ne!(some, 0, "the proxy closed");
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// TLS 1.3 with a full handshake for every connection.
pub(crate) fn connector(roots: RootCertStore) -> TlsConnector {
    // With all servers the same: not all have the hybrid with ML-KEM.
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// Where a head ends.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

/// What a head says about the length of its body.
pub(crate) fn length(head: &[u8]) -> usize {
    let lines = head.split(|byte| *byte == b'\n');
    let mut lengths = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked("content-length:".len())?;
        name.eq_ignore_ascii_case(b"content-length:")
            .then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
    });
    lengths.next().unwrap_or_default()
}
