//! Certificates for tests.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::TlsAcceptor;
use x509_parser::{extensions::GeneralName, prelude::FromDer, prelude::X509Certificate};

/// A certificate chain and its key.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The chain as PEM.
    pub chain: String,
    /// The key as PEM.
    pub key: String,
}

impl Pair {
    /// The leaf as it is seen in a handshake.
    pub fn leaf(&self) -> Vec<u8> {
        let leaf = CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("a certificate");
        leaf.as_ref().to_vec()
    }

    /// What a TLS server needs.
    pub(crate) fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        (
            chain.collect::<Result<_, _>>().expect("certificates"),
            key.expect("a key"),
        )
    }

    /// What takes connections with it, and speaks one of these protocols over them.
    pub(crate) fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let (chain, key) = self.parts();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of this provider")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A certificate authority of a test's own.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one.
    pub fn create() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .clone();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// Issues a certificate for DNS names and addresses.
    pub fn issue(&self, names: &[&str]) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(names)
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        Pair {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Its own certificate as PEM.
    pub fn pem(&self) -> String {
        let base64 = STANDARD.encode(&self.certificate);
        format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
    }

    /// A store that trusts this authority only.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .expect("a root certificate");
        roots
    }
}

/// A self-signed certificate for DNS names.
pub fn self_signed(names: &[&str]) -> Pair {
    let key = KeyPair::generate().expect("a key");
    let certificate = params(names).self_signed(&key).expect("a certificate");
    Pair {
        chain: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// The DNS names in a certificate, as DER.
pub fn names_of(certificate: &[u8]) -> Vec<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).expect("a certificate");
    let names = certificate
        .subject_alternative_name()
        .expect("at most one such extension");
    let names = names
        .into_iter()
        .flat_map(|names| names.value.general_names.iter());
    let dns = names.filter_map(|name| {
        if let GeneralName::DNSName(dns) = name {
            Some(*dns)
        } else {
            None
        }
    });
    dns.map(str::to_owned).collect()
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("DNS names")
}
