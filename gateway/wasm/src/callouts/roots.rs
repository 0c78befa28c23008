//! Whose certificates are believed.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// Those that Mozilla believes, as of the build.
    #[default]
    Mozilla,
    /// These too, each in DER.
    Besides(Vec<Vec<u8>>),
    /// These, each in DER.
    Only(Vec<Vec<u8>>),
}

/// Why a file gives no certificates to believe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// It is no PEM.
    #[error("it is broken: {0}")]
    Pem(String),
    /// Nothing is in it.
    #[error("it holds no certificate")]
    Empty,
    /// One, counted from 1, is none that can be believed.
    #[error("its certificate {0} is none of a CA: {1}")]
    Unfit(usize, String),
}

impl Roots {
    /// Mozilla's, and those of this PEM file.
    pub fn besides(pem: &[u8]) -> Result<Self, RootsError> {
        let (mut all, mut store) = (Vec::new(), RootCertStore::empty());
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| RootsError::Pem(error.to_string()))?;
            all.push(certificate.to_vec());
            let added = store.add(certificate);
            added.map_err(|error| RootsError::Unfit(all.len(), error.to_string()))?;
        }
        match all.is_empty() {
            true => Err(RootsError::Empty),
            false => Ok(Self::Besides(all)),
        }
    }

    pub(super) fn store(&self) -> Result<RootCertStore, rustls::Error> {
        let mut store = RootCertStore::empty();
        if let Self::Mozilla | Self::Besides(_) = self {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Self::Besides(own) | Self::Only(own) = self {
            for certificate in own {
                store.add(certificate.clone().into())?;
            }
        }
        Ok(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        assert_eq!(Roots::besides(b"").unwrap_err(), RootsError::Empty);
        assert_eq!(Roots::besides(b"hello").unwrap_err(), RootsError::Empty);
        let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(matches!(Roots::besides(broken), Err(RootsError::Pem(_))));
        let other = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let unfit = Roots::besides(other).unwrap_err();
        assert!(matches!(unfit, RootsError::Unfit(1, _)), "{unfit}");
    }
}
