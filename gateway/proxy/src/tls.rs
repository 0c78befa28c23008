//! TLS towards clients: the certificate by SNI from the snapshot, ALPN, resumption.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
};

use arc_swap::ArcSwap;
use rustls::{
    CipherSuite, ServerConfig, SupportedCipherSuite,
    crypto::CryptoProvider,
    server::{Acceptor, ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use time::{Duration, OffsetDateTime};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::yield_now,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{snapshot::Snapshot, worker::Worker};

/// Certificates by host, as the snapshot holds them.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    pub(crate) exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    pub(crate) wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    pub(crate) default: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Exact before wildcard before default.
    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.exact.get(name).or_else(|| {
            let (label, suffix) = name.split_once('.')?;
            self.wildcard.get(suffix).filter(|_| !label.is_empty())
        })
    }
}

/// Chooses the certificate of each handshake.
#[derive(Debug)]
struct Resolver {
    snapshot: Arc<ArcSwap<Snapshot>>,
    fallback: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Resolver {
    #[expect(clippy::disallowed_methods, reason = "once a handshake")]
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let snapshot = self.snapshot.load();
        let certificates = snapshot.certificates();
        // Rustls gives the name in lower case.
        let own = hello.server_name().and_then(|name| certificates.find(name));
        Some(Arc::clone(
            own.or(certificates.default.as_ref())
                .unwrap_or(&self.fallback),
        ))
    }
}

/// Shakes hands. What a ClientHello asks for costs as much as many requests: a flood of them takes
/// turns with whatever else the worker has to do.
pub(crate) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    worker: &Worker,
) -> io::Result<TlsStream<S>> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    // Never closed.
    let turn = worker.handshakes.acquire().await;
    let mut handshake = pin!(hello.into_stream(worker.gateway.tls()));
    let first = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await;
    yield_now().await;
    drop(turn);
    match first {
        Poll::Ready(done) => done,
        Poll::Pending => handshake.await,
    }
}

/// The configuration of all handshakes: TLS 1.2 and 1.3 with rustls' suites, HTTP/2 before HTTP/1.1, and
/// resumption by tickets that no restart survives.
///
/// Of the suites that a client offers those with AES-128 go first: with them a handshake hashes with
/// SHA-256, for which processors have instructions, and costs a seventh less than with SHA-384.
pub(crate) fn server_config(
    snapshot: &Arc<ArcSwap<Snapshot>>,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let fallback = self_signed()?;
    let resolver = Resolver {
        snapshot: Arc::clone(snapshot),
        fallback,
    };
    let mut suites = CryptoProvider::clone(&provider());
    let aes_128 = |suite: &SupportedCipherSuite| {
        matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    };
    // Stable: else rustls' order stays.
    suites.cipher_suites.sort_by_key(|suite| !aes_128(suite));
    let mut config = ServerConfig::builder_with_provider(Arc::new(suites))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.ignore_client_order = true;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The DNS names it is for, in lower case: its subject alternative names, else its common name.
    pub names: Vec<String>,
    /// From when it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No certificate in the chain.
    #[error("holds no certificate; write PEM with BEGIN CERTIFICATE")]
    NoCertificate,
    /// The PEM text is broken.
    #[error("is no valid PEM ({0}); write the certificate chain and the key as PEM")]
    Pem(rustls_pki_types::pem::Error),
    /// The private key is missing or encrypted.
    #[error("holds no usable private key; write an unencrypted PKCS#8, PKCS#1 or SEC1 key as PEM")]
    NoKey,
    /// The leaf cannot be parsed.
    #[error("holds a certificate that cannot be parsed; write the leaf first, as X.509 in PEM")]
    Parse,
    /// Rustls refuses it.
    #[error("cannot be used ({0}); write a key that belongs to the first certificate")]
    Rustls(#[from] rustls::Error),
    /// More than is sensible.
    #[error("is larger than 256 KiB; write the leaf and its intermediates only")]
    TooLarge,
}

/// Checks that a certificate chain and its key, both PEM, can be served, and says for which names.
pub fn inspect_certificate(chain: &[u8], key: &[u8]) -> Result<CertificateInfo, CertificateError> {
    let key = certified_key(chain, key)?;
    let leaf = key.cert.first().ok_or(CertificateError::NoCertificate)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| CertificateError::Parse)?;
    let mut names = Vec::new();
    if let Ok(Some(alternatives)) = leaf.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            }
        }
    }
    if names.is_empty() {
        let common = leaf
            .subject()
            .iter_common_name()
            .filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    let validity = leaf.validity();
    let (not_before, not_after) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    Ok(CertificateInfo {
        names,
        not_before,
        not_after,
    })
}

/// Reads a certificate chain and its key, both PEM.
pub(crate) fn certified_key(
    chain: &[u8],
    key: &[u8],
) -> Result<Arc<CertifiedKey>, CertificateError> {
    if chain.len() > MAX_PEM || key.len() > MAX_PEM {
        return Err(CertificateError::TooLarge);
    }
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(CertificateError::Pem)?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

/// The certificate of hosts without one: self-signed, new at each start, with a DNS name, and for a
/// year, as browsers take no longer ones.
fn self_signed() -> Result<Arc<CertifiedKey>, CertificateError> {
    let failed = |_| CertificateError::NoKey;
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let mut params = rcgen::CertificateParams::new([DEFAULT_NAME.to_owned()]).map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, DEFAULT_NAME);
    params.not_before = OffsetDateTime::now_utc() - Duration::DAY;
    params.not_after = params.not_before + Duration::days(365);
    let certificate = params.self_signed(&key).map_err(failed)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| CertificateError::NoKey)?;
    let chain = vec![certificate.der().clone()];
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

const DEFAULT_NAME: &str = "portcullis.invalid";
const MAX_PEM: usize = 256 * 1024;

#[cfg(test)]
mod tests;
