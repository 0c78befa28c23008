//! What can be written under `portcullis.dev/filter.jwt-auth`.

use std::collections::BTreeMap;

use portcullis_sdk::prelude::*;

/// Whose tokens are believed, and what of them.
#[config]
pub(crate) struct Config {
    /// The keys that tokens may be signed with.
    #[schemars(length(min = 1, max = 16))]
    pub(crate) keys: Vec<KeyConfig>,
    /// What `iss` has to be. Default: anything.
    pub(crate) issuer: Option<String>,
    /// One of these has to be in `aud`. Default: anything.
    #[serde(default)]
    pub(crate) audience: Vec<String>,
    /// How many seconds clocks may differ, for `exp` and `nbf`.
    #[serde(default = "half_a_minute")]
    #[schemars(range(max = 3600))]
    pub(crate) leeway: u32,
    /// Whether a token that never expires is believed.
    #[serde(default)]
    pub(crate) allow_eternal: bool,
    /// Whether a request without a token passes. One with a wrong token never does.
    #[serde(default)]
    pub(crate) optional: bool,
    /// Claims that the backend gets, each in this field; what a client sends in that field is removed.
    #[serde(default)]
    pub(crate) claims: BTreeMap<String, String>,
}

/// A key, with the one algorithm that it is for.
#[config]
pub(crate) struct KeyConfig {
    /// Its `kid`. A token that names one is checked with that key only; keys without an id are for all.
    pub(crate) id: Option<String>,
    /// The algorithm.
    pub(crate) algorithm: Algorithm,
    /// For HS256: the secret in base64, at least 32 bytes.
    pub(crate) secret: Option<String>,
    /// For the others: the public key (SubjectPublicKeyInfo), in PEM or its base64 alone.
    pub(crate) public_key: Option<String>,
}

/// How tokens are signed.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSA, PKCS #1 v1.5, with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// As it stands in `alg`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl Config {
    /// What the schema cannot say.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.keys.is_empty() || self.keys.len() > 16 {
            return Err(ConfigError::new("/keys", "write 1 to 16 keys"));
        }
        for (claim, header) in &self.claims {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if header.is_empty() || !header.bytes().all(token) {
                let escaped = claim.replace('~', "~0").replace('/', "~1");
                let message = format!("`{header}` is no name of a field");
                return Err(ConfigError::new(format!("/claims/{escaped}"), message));
            }
        }
        Ok(())
    }
}

fn half_a_minute() -> u32 {
    30
}
