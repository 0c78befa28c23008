//! TLS towards the gateway, with everything about a handshake in the test's hands.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, HandshakeKind, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Connection, within};

/// How to shake hands; connections of one value share their sessions.
#[derive(Clone)]
pub struct TlsOptions(Arc<ClientConfig>);

/// A finished handshake.
pub struct Handshake {
    /// The open stream.
    pub stream: TlsStream<TcpStream>,
    /// The certificates that the server showed, as DER.
    pub certificates: Vec<Vec<u8>>,
}

impl TlsOptions {
    /// Takes any certificate, offers no ALPN, TLS 1.2 and 1.3.
    pub fn lenient() -> Self {
        Self::of_versions(rustls::ALL_VERSIONS)
    }

    /// Takes any certificate, with only these versions.
    pub fn of_versions(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let verifier = Arc::new(AnyCertificate(aws_lc_rs::default_provider()));
        let config = builder(versions)
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Self(Arc::new(config.with_no_client_auth()))
    }

    /// Takes certificates of these authorities only, for the name that is asked for.
    pub fn strict(roots: RootCertStore) -> Self {
        Self(Arc::new(
            builder(rustls::ALL_VERSIONS)
                .with_root_certificates(roots)
                .with_no_client_auth(),
        ))
    }

    /// Offers these protocols.
    pub fn alpn(self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = protocols;
        Self(Arc::new(config))
    }

    /// Sends no server name.
    pub fn without_sni(self) -> Self {
        let mut config = ClientConfig::clone(&self.0);
        config.enable_sni = false;
        Self(Arc::new(config))
    }

    /// Connects and shakes hands.
    pub async fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Handshake> {
        let stream = within("a connection", TcpStream::connect(address)).await?;
        self.over(stream, name).await
    }

    /// Shakes hands over an open stream.
    pub async fn over(&self, stream: TcpStream, name: &str) -> io::Result<Handshake> {
        let name = ServerName::try_from(name.to_owned()).expect("a server name");
        let connector = TlsConnector::from(self.0.clone());
        let stream = within("a handshake", connector.connect(name, stream)).await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificates = certificates.iter().map(|c| c.as_ref().to_vec()).collect();
        Ok(Handshake {
            stream,
            certificates,
        })
    }
}

impl Handshake {
    /// The protocol that both agreed on.
    pub fn alpn(&self) -> Option<String> {
        self.stream
            .get_ref()
            .1
            .alpn_protocol()
            .map(|p| String::from_utf8_lossy(p).into_owned())
    }

    /// Whether an earlier session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The leaf that the server showed.
    pub fn leaf(&self) -> Vec<u8> {
        self.certificates.first().cloned().expect("a certificate")
    }

    /// HTTP/1.1 over it.
    pub fn http1(self) -> Connection {
        Connection::over(self.stream)
    }
}

fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    builder
        .with_protocol_versions(versions)
        .expect("versions of this provider")
}

/// Takes every certificate: tests look at it themselves.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
