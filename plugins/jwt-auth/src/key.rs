//! Keys, and what they verify.

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::pkcs8::DecodePublicKey;
use hmac::{Hmac, Mac};
use portcullis_sdk::prelude::*;
use rsa::{pkcs1v15, signature::Verifier};
use sha2::Sha256;

use crate::{
    config::{Algorithm, KeyConfig},
    token::Token,
};

/// A key, with the one algorithm that it is for.
pub(crate) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    Hmac(Vec<u8>),
    Rsa(pkcs1v15::VerifyingKey<Sha256>),
    P256(p256::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl Key {
    /// The key at this place of the configuration.
    pub(crate) fn new(index: usize, config: &KeyConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, message: &str| {
            ConfigError::new(format!("/keys/{index}/{key}"), message.to_owned())
        };
        let material = match (config.algorithm, &config.secret, &config.public_key) {
            (Algorithm::Hs256, Some(secret), None) => {
                let secret = BASE64_STANDARD.decode(secret);
                let secret = secret.map_err(|_| wrong("secret", "this is no base64"))?;
                if secret.len() < 32 {
                    return Err(wrong("secret", "a secret for HS256 has at least 32 bytes"));
                }
                Material::Hmac(secret)
            }
            (Algorithm::Hs256, ..) => {
                return Err(wrong(
                    "secret",
                    "HS256 needs a `secret`, and no `publicKey`",
                ));
            }
            (algorithm, None, Some(text)) => {
                let der = der(text).ok_or_else(|| wrong("publicKey", "this is no base64"))?;
                let key = Material::public(algorithm, &der);
                let message = "this is no public key for this algorithm (SubjectPublicKeyInfo)";
                key.ok_or_else(|| wrong("publicKey", message))?
            }
            _ => {
                let message = "this algorithm needs a `publicKey`, and no `secret`";
                return Err(wrong("publicKey", message));
            }
        };
        Ok(Self {
            id: config.id.clone(),
            algorithm: config.algorithm,
            material,
        })
    }

    /// Whether the token may be signed with it: they name the same algorithm, and the same key where both name one.
    pub(crate) fn fits(&self, token: &Token<'_>) -> bool {
        let same_key = match (&self.id, &token.key) {
            (Some(id), Some(named)) => id == named,
            (None, _) | (_, None) => true,
        };
        same_key && token.algorithm == self.algorithm.as_str()
    }

    /// Whether the token is signed with it.
    pub(crate) fn verifies(&self, token: &Token<'_>) -> bool {
        let (text, signature) = (token.signed.as_bytes(), token.signature.as_slice());
        match &self.material {
            Material::Hmac(secret) => {
                let mac = Hmac::<Sha256>::new_from_slice(secret);
                mac.is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok())
            }
            Material::Rsa(key) => pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            Material::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            Material::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(text, &signature).is_ok()),
        }
    }
}

impl Material {
    fn public(algorithm: Algorithm, der: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Hs256 => None,
            Algorithm::Rs256 => {
                let key = rsa::RsaPublicKey::from_public_key_der(der).ok()?;
                Some(Self::Rsa(pkcs1v15::VerifyingKey::new(key)))
            }
            Algorithm::Es256 => {
                let key = p256::ecdsa::VerifyingKey::from_public_key_der(der).ok()?;
                Some(Self::P256(key))
            }
            Algorithm::EdDsa => {
                let key = ed25519_dalek::VerifyingKey::from_public_key_der(der).ok()?;
                Some(Self::Ed25519(key))
            }
        }
    }
}

/// What is in a PEM, or in its base64 alone.
fn der(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let base64: String = lines.flat_map(str::split_whitespace).collect();
    BASE64_STANDARD.decode(base64).ok()
}
