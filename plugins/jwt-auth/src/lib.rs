//! Lets requests pass that carry a signed token (a JWT, RFC 7519), and no others.
//!
//! ```yaml
//! portcullis.dev/filters: my-team/jwt-auth
//! portcullis.dev/filter.jwt-auth: |
//!   keys:
//!     - {id: "2026-01", algorithm: ES256, publicKey: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE…"}
//!   issuer: https://login.example.com
//!   audience: [shop]
//!   claims: {sub: x-user}
//! ```
//!
//! Each key names its one algorithm, and the token has to name the same: `none` is no algorithm, and a public key is
//! never taken for a secret. Others get 401 with `WWW-Authenticate`. Needs no grant, but for ES256 and many keys more time than
//! the usual millisecond: `limits: {time: 10ms}`.

mod config;
mod key;
mod token;

use portcullis_sdk::{clock, prelude::*, serde_json::Value};

use config::Config;
use key::Key;
use token::{Refusal, Token};

struct JwtAuth {
    config: Config,
    keys: Vec<Key>,
}

#[filter]
impl Filter for JwtAuth {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let keys = config.keys.iter().enumerate();
        let keys = keys.map(|(index, key)| Key::new(index, key));
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            config,
        })
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        let claims = match self.verify(request) {
            Ok(claims) => Some(claims),
            Err(Refusal::Missing) if self.config.optional => None,
            Err(refusal) => {
                log::debug!("refused: {refusal}");
                return Ok(unauthorized(refusal).into());
            }
        };
        for (claim, header) in &self.config.claims {
            // Also where the token lacks the claim: what the client has sent under that name is not to be
            // believed.
            request.remove_header(header)?;
            let value = claims.as_ref().and_then(|claims| claims.get(claim));
            if let Some(value) = value.and_then(text) {
                request.set_header(header, value)?;
            }
        }
        Ok(RequestVerdict::Next)
    }
}

impl JwtAuth {
    /// The claims of the request's token.
    fn verify(&self, request: &Request) -> Result<Value, Refusal> {
        let text = bearer(request)?;
        let token = Token::parse(&text)?;
        let mut keys = self.keys.iter().filter(|key| key.fits(&token));
        if !keys.any(|key| key.verifies(&token)) {
            return Err(Refusal::Signature);
        }
        // Only what is signed is read.
        let claims = token.claims()?;
        token::check(&claims, &self.config, clock::since_epoch().as_secs())?;
        Ok(claims)
    }
}

/// The token that the request carries.
fn bearer(request: &Request) -> Result<String, Refusal> {
    let mut values = request.header_all("authorization").into_iter();
    let (first, more) = (values.next(), values.next());
    let value = match (first, more) {
        (None, _) => return Err(Refusal::Missing),
        // Which of two the backend would believe, nobody knows.
        (Some(_), Some(_)) => return Err(Refusal::Request),
        (Some(value), None) => String::from_utf8(value).map_err(|_| Refusal::Request)?,
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            // What would take the hook's time to check is no token of anybody's.
            Some(token.trim())
                .filter(|token| token.len() <= LONGEST)
                .map(str::to_owned)
                .ok_or(Refusal::Form)
        }
        _ => Err(Refusal::Missing),
    }
}

/// RFC 6750: who sent no token is not told an error.
fn unauthorized(refusal: Refusal) -> LocalResponse {
    let challenge = match refusal {
        Refusal::Missing => "Bearer".to_owned(),
        Refusal::Request => "Bearer error=\"invalid_request\"".to_owned(),
        Refusal::Form
        | Refusal::Signature
        | Refusal::Expired
        | Refusal::Early
        | Refusal::Issuer
        | Refusal::Audience => {
            format!("Bearer error=\"invalid_token\", error_description=\"{refusal}\"")
        }
    };
    LocalResponse::text(401, "a valid token is needed\n").with_header("www-authenticate", challenge)
}

/// A claim as the value of a field. One that would need more than that is left out.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.bytes().any(|byte| byte.is_ascii_control())).then_some(text)
}

/// Of a token, in bytes.
const LONGEST: usize = 8 * 1024;

#[cfg(test)]
mod tests;
