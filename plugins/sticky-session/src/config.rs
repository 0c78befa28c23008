//! What can be written under `portcullis.dev/filter.sticky-session`.

use portcullis_sdk::prelude::*;

/// How sessions are kept on their endpoints.
#[config]
pub(crate) struct Config {
    /// The name of the cookie.
    #[serde(default = "session_cookie")]
    pub(crate) cookie: String,
    /// What happens to sessions when endpoints come.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// The cookie's `Path`. Default: the path of the Ingress's rule.
    pub(crate) path: Option<String>,
    /// The cookie's `Domain`. Default: none, which is the very host that sets it.
    pub(crate) domain: Option<String>,
    /// The cookie's `SameSite`. Default: none is written.
    pub(crate) same_site: Option<SameSite>,
    /// With `sameSite: None`: leave it out for browsers that take it for `Strict`.
    #[serde(default)]
    pub(crate) conditional_same_site_none: bool,
    /// Whether the cookie is `Secure`. Default: where the request came by https.
    pub(crate) secure: Option<bool>,
    /// The cookie's `Max-Age`, in seconds. Default: it ends with the browser's session.
    pub(crate) max_age: Option<u32>,
    /// After how many seconds the cookie `Expires`, for clients that know no `Max-Age`.
    pub(crate) expires: Option<u32>,
    /// Whether a session moves when its endpoint refuses connections. Else it stays and gets 502, until the
    /// endpoint leaves the Service.
    #[serde(default)]
    pub(crate) change_on_failure: bool,
    /// The backends whose responses set the cookie, `service:port`. Default: all.
    pub(crate) backends: Option<Vec<String>>,
}

/// What happens to sessions when endpoints come.
#[config]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Some move, so that all endpoints have their share.
    #[default]
    Balanced,
    /// None moves.
    Persistent,
}

/// Whether requests from other sites carry the cookie.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub(crate) enum SameSite {
    /// All do.
    None,
    /// Links do.
    Lax,
    /// None does.
    Strict,
}

impl SameSite {
    /// As it stands in the cookie.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Lax => "Lax",
            Self::Strict => "Strict",
        }
    }
}

impl Config {
    /// Whether a session stays with an endpoint that refuses.
    pub(crate) fn is_strict(&self) -> bool {
        !self.change_on_failure
    }

    /// Whether sessions move when endpoints come.
    pub(crate) fn is_balanced(&self) -> bool {
        self.mode == Mode::Balanced
    }

    /// What the schema cannot say.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !session::is_cookie_name(&self.cookie) {
            let message = format!("`{}` is no name of a cookie", self.cookie);
            return Err(ConfigError::new("/cookie", message));
        }
        if let Some(path) = &self.path
            && !(path.starts_with('/') && is_attribute(path))
        {
            let message = "write a path that begins with `/`, without `;` and controls";
            return Err(ConfigError::new("/path", message));
        }
        if let Some(domain) = &self.domain
            && (!is_attribute(domain) || domain.contains([' ', '/', ':']))
        {
            let message = "write the name of a domain: example.com";
            return Err(ConfigError::new("/domain", message));
        }
        for (index, backend) in self.backends.iter().flatten().enumerate() {
            if !backend.contains(':') {
                let pointer = format!("/backends/{index}");
                let message = format!("`{backend}` is no backend; write service:port");
                return Err(ConfigError::new(pointer, message));
            }
        }
        Ok(())
    }
}

/// Whether a text can be the value of an attribute of a cookie.
pub(crate) fn is_attribute(text: &str) -> bool {
    let sound = |byte: u8| matches!(byte, b' '..=b'~') && byte != b';';
    !text.is_empty() && text.bytes().all(sound)
}

fn session_cookie() -> String {
    session::COOKIE.to_owned()
}
