//! Tokens: three parts with dots between them, and what their claims say.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use portcullis_sdk::serde_json::{Value, from_slice};

use crate::config::Config;

/// A token whose signature is still to be checked.
pub(crate) struct Token<'t> {
    /// Its `alg`.
    pub(crate) algorithm: String,
    /// Its `kid`.
    pub(crate) key: Option<String>,
    /// What is signed: its first two parts.
    pub(crate) signed: &'t str,
    /// The signature.
    pub(crate) signature: Vec<u8>,
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Request,
    Form,
    Signature,
    Expired,
    Early,
    Issuer,
    Audience,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no token",
            Self::Request => "the authorization cannot be read",
            Self::Form => "the token cannot be read",
            Self::Signature => "the signature is not one of a known key",
            Self::Expired => "the token has expired",
            Self::Early => "the token is not valid yet",
            Self::Issuer => "the token is of another issuer",
            Self::Audience => "the token is for another audience",
        })
    }
}

impl<'t> Token<'t> {
    /// Reads a token in the compact form.
    pub(crate) fn parse(text: &'t str) -> Result<Self, Refusal> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Form)?;
        let header = object(header)?;
        // What is critical has to be understood, and nothing is.
        if payload.contains('.') || header.get("crit").is_some() {
            return Err(Refusal::Form);
        }
        let string = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::Form),
        };
        Ok(Self {
            algorithm: string("alg")?.ok_or(Refusal::Form)?,
            key: string("kid")?,
            signed,
            signature: decode(signature)?,
        })
    }

    /// What it claims.
    pub(crate) fn claims(&self) -> Result<Value, Refusal> {
        let (_, payload) = self.signed.split_once('.').ok_or(Refusal::Form)?;
        object(payload)
    }
}

/// Whether the claims are good now, in seconds since 1970, and here.
pub(crate) fn check(claims: &Value, config: &Config, now: u64) -> Result<(), Refusal> {
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
    let (now, leeway) = (now as f64, f64::from(config.leeway));
    match number(claims, "exp")? {
        Some(end) if now >= end + leeway => return Err(Refusal::Expired),
        None if !config.allow_eternal => return Err(Refusal::Expired),
        Some(_) | None => {}
    }
    if number(claims, "nbf")?.is_some_and(|start| now < start - leeway) {
        return Err(Refusal::Early);
    }
    let issuer = claims.get("iss").and_then(Value::as_str);
    if config.issuer.is_some() && config.issuer.as_deref() != issuer {
        return Err(Refusal::Issuer);
    }
    let wanted = |name: &Value| {
        let mut wanted = config.audience.iter();
        wanted.any(|wanted| name.as_str() == Some(wanted))
    };
    let meant = match claims.get("aud") {
        Some(Value::Array(names)) => names.iter().any(wanted),
        Some(name) => wanted(name),
        None => false,
    };
    if !config.audience.is_empty() && !meant {
        return Err(Refusal::Audience);
    }
    Ok(())
}

fn number(claims: &Value, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(Refusal::Form),
    }
}

fn object(part: &str) -> Result<Value, Refusal> {
    let value: Value = from_slice(&decode(part)?).map_err(|_| Refusal::Form)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Refusal::Form)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refusal::Form)
}
