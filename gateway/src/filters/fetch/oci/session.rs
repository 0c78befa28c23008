//! Requests to one registry, and how it wants to know who asks.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{HeaderValue, Response, StatusCode, header};
use http_auth::parser::ChallengeParser;
use route::{Image, Login};
use serde::Deserialize;

use super::{
    super::{
        super::code::NoCode,
        web::{AGAIN, Ask, Web},
    },
    SOON,
};

/// Requests to one registry, with what it wants to see for them.
pub(super) struct Session<'a> {
    web: &'a Web,
    image: &'a Image,
    authorization: Option<HeaderValue>,
}

impl<'a> Session<'a> {
    /// Nobody has said yet what it wants to see.
    pub(super) fn new(web: &'a Web, image: &'a Image) -> Self {
        Self {
            web,
            image,
            authorization: None,
        }
    }

    /// Gets something of the repository.
    pub(super) async fn get(
        &mut self,
        path: &str,
        accept: &'static str,
        most: usize,
        patience: Duration,
    ) -> Result<Bytes, NoCode> {
        let registry = match self.image.registry.as_str() {
            // What everyone calls it, and where it is.
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            registry => registry,
        };
        let scheme = self.web.scheme(registry);
        let repository = &self.image.repository;
        let url = format!("{scheme}://{registry}/v2/{repository}/{path}");
        let mut tries = 0;
        loop {
            let ask = Ask {
                url: &url,
                accept,
                authorization: self.authorization.as_ref(),
                most,
                patience,
            };
            let answer = self.web.ask(ask).await?;
            tries += 1;
            match answer.status() {
                StatusCode::OK => return Ok(answer.into_body()),
                StatusCode::UNAUTHORIZED if tries == 1 => self.authorize(&answer).await?,
                status => return Err(self.refused(status)),
            }
        }
    }

    /// Gets what the registry wants to see: a token for this repository, or the login itself.
    async fn authorize(&mut self, refusal: &Response<Bytes>) -> Result<(), NoCode> {
        let login = self.image.login.as_ref();
        let basic = login.and_then(basic);
        for challenge in challenges(refusal) {
            match challenge {
                Challenge::Bearer { realm, service } => {
                    let ask = Ask {
                        url: &token_url(&realm, service.as_deref(), self.image),
                        accept: "application/json",
                        authorization: basic.as_ref(),
                        most: MOST_TOKEN,
                        patience: SOON,
                    };
                    let answer = self.web.ask(ask).await?;
                    if answer.status() != StatusCode::OK {
                        return Err(self.refused(answer.status()));
                    }
                    let token = token(answer.body()).ok_or_else(|| {
                        let registry = &self.image.registry;
                        NoCode::new(format!("{registry} gives no token to pull with"), AGAIN)
                    })?;
                    self.authorization = Some(token);
                    return Ok(());
                }
                Challenge::Basic => {
                    if let Some(basic) = basic {
                        self.authorization = Some(basic);
                        return Ok(());
                    }
                }
            }
        }
        Err(self.refused(StatusCode::UNAUTHORIZED))
    }

    fn refused(&self, status: StatusCode) -> NoCode {
        let Image {
            registry, login, ..
        } = self.image;
        let message = format!("{registry} answers {} for {}", status.as_u16(), self.image);
        let hint = match (status.as_u16(), login) {
            (401 | 403, None) => {
                "write spec.source.pullSecret: a Secret with a login that may pull it"
            }
            (401 | 403, Some(_)) => {
                "see that the login of the pullSecret is right, and may pull it"
            }
            (404, _) => {
                "push it, or write the digest of what was pushed; it is tried again by itself"
            }
            _ => AGAIN,
        };
        NoCode::new(message, hint)
    }
}

/// How a registry wants to know who asks.
enum Challenge {
    Bearer {
        realm: String,
        service: Option<String>,
    },
    Basic,
}

fn challenges(refusal: &Response<Bytes>) -> Vec<Challenge> {
    let fields = refusal.headers().get_all(header::WWW_AUTHENTICATE).iter();
    let texts = fields.filter_map(|field| field.to_str().ok());
    let all = texts.flat_map(|text| ChallengeParser::new(text).flatten().collect::<Vec<_>>());
    let known = all.filter_map(|challenge| {
        let param = |name: &str| {
            let mut params = challenge.params.iter();
            let found = params.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        match challenge.scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(Challenge::Bearer {
                realm: param("realm")?,
                service: param("service"),
            }),
            "basic" => Some(Challenge::Basic),
            _ => None,
        }
    });
    known.collect()
}

/// Where a token to pull an image is had.
fn token_url(realm: &str, service: Option<&str>, image: &Image) -> String {
    let mut query = Serializer::new(String::new());
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    let scope = format!("repository:{}:pull", image.repository);
    let query = query.append_pair("scope", &scope).finish();
    let joint = if realm.contains('?') { '&' } else { '?' };
    format!("{realm}{joint}{query}")
}

fn basic(login: &Login) -> Option<HeaderValue> {
    let Login { user, password } = login;
    secret(&format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

fn token(answer: &[u8]) -> Option<HeaderValue> {
    let Token {
        token,
        access_token,
    } = serde_json::from_slice(answer).ok()?;
    secret(&format!("Bearer {}", token.or(access_token)?))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The largest token, in bytes.
const MOST_TOKEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_two_names() {
        for text in [r#"{"token":"x"}"#, r#"{"access_token":"x"}"#] {
            assert_eq!(token(text.as_bytes()).unwrap(), "Bearer x");
        }
        for text in ["", "{}", r#"{"token":"a\nb"}"#] {
            assert!(token(text.as_bytes()).is_none(), "{text}");
        }
    }
}
