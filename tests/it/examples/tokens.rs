//! Keys, and the tokens that they sign.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A key of one algorithm.
pub(super) struct Key {
    algorithm: &'static str,
    signer: Signer,
}

enum Signer {
    Secret(Vec<u8>),
    Pair(KeyPair),
}

impl Key {
    /// A new one. Secrets are always the same.
    pub(super) fn new(algorithm: &'static str) -> Self {
        let kind = match algorithm {
            "HS256" => None,
            "RS256" => Some(&rcgen::PKCS_RSA_SHA256),
            "ES256" => Some(&rcgen::PKCS_ECDSA_P256_SHA256),
            "EdDSA" => Some(&rcgen::PKCS_ED25519),
            other => panic!("no algorithm {other}"),
        };
        let signer = match kind {
            None => Signer::Secret(vec![7; 32]),
            Some(kind) => Signer::Pair(KeyPair::generate_for(kind).expect("a key")),
        };
        Self { algorithm, signer }
    }

    pub(super) fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// As it stands in the filter's configuration.
    pub(super) fn config(&self) -> Value {
        match &self.signer {
            Signer::Secret(secret) => {
                json!({"algorithm": self.algorithm, "secret": BASE64_STANDARD.encode(secret)})
            }
            Signer::Pair(pair) => {
                json!({"algorithm": self.algorithm, "publicKey": pair.public_key_pem()})
            }
        }
    }

    /// A token with these claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.token_as(self.algorithm, claims)
    }

    /// The same, which says that it is of another algorithm.
    pub(super) fn token_as(&self, algorithm: &str, claims: &Value) -> String {
        let text = unsigned(algorithm, claims);
        let signature = self.sign(text.as_bytes());
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// A secret made of the public key, as who has only that would take it.
    pub(super) fn public_as_secret(&self) -> Self {
        let secret = match &self.signer {
            Signer::Secret(secret) => secret.clone(),
            Signer::Pair(pair) => pair.subject_public_key_info(),
        };
        Self {
            algorithm: "HS256",
            signer: Signer::Secret(secret),
        }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match &self.signer {
            Signer::Secret(secret) => hmac(secret, text),
            Signer::Pair(pair) => {
                let signature = pair.sign(text).expect("a signature");
                match self.algorithm {
                    "ES256" => fixed(&signature),
                    _ => signature,
                }
            }
        }
    }
}

/// A token's first two parts.
pub(super) fn unsigned(algorithm: &str, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": algorithm, "typ": "JWT"});
    format!("{}.{}", part(&header), part(claims))
}

/// So many seconds from now.
pub(super) fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock that is set").as_secs();
    i64::try_from(now).expect("a time of this age") + seconds
}

/// RFC 2104 with SHA-256.
fn hmac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let mut key = [0; 64];
    match secret.len() {
        0..=64 => key[..secret.len()].copy_from_slice(secret),
        _ => key[..32].copy_from_slice(&Sha256::digest(secret)),
    }
    let padded = |byte: u8| key.map(|of_key| of_key ^ byte);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text);
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner.finalize());
    outer.finalize().to_vec()
}

/// A signature of P-256 out of its DER: two numbers of 32 bytes.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[number.len().saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - number.len()));
        numbers.extend(number);
        rest = &rest[2 + length..];
    }
    numbers
}
