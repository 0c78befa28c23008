//! What can be written under `portcullis.dev/filter.canary`.

use portcullis_sdk::{prelude::*, schemars, serde};

/// The backends that some requests go to. The first rule that matches wins, weights come last, and what no
/// backend takes goes where the Ingress says.
#[config]
pub(crate) struct Config {
    /// The backends, in the order in which their rules are looked at.
    #[schemars(length(min = 1))]
    pub(crate) backends: Vec<BackendConfig>,
    /// What the weights are shares of.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub(crate) weight_total: u32,
    /// The cookie of `sticky-session`: a session goes to the backend that it began with, before all rules.
    pub(crate) sticky_cookie: Option<String>,
    /// With `stickyCookie`: the Ingress's own backend, `service:port`. Sessions of other backends than this
    /// and the canaries then count as none; without it they stay with the Ingress's own.
    pub(crate) primary: Option<String>,
}

/// A backend that some requests go to.
#[config]
pub(crate) struct BackendConfig {
    /// The name of its Service, in the Ingress's namespace.
    pub(crate) service: String,
    /// The number or the name of the Service's port.
    pub(crate) port: Port,
    /// A header: `always` chooses this backend, `never` rules it out; other values do neither.
    pub(crate) header: Option<String>,
    /// The one value of `header` that chooses this backend.
    pub(crate) header_value: Option<String>,
    /// A pattern that chooses this backend where it is found in the value of `header`: a regular expression
    /// of the Rust `regex` crate, unanchored.
    pub(crate) header_pattern: Option<String>,
    /// A cookie: `always` chooses this backend, `never` rules it out; other values do neither.
    pub(crate) cookie: Option<String>,
    /// Its share of the requests that no rule decides on, out of `weightTotal`.
    #[serde(default)]
    pub(crate) weight: u32,
    /// What becomes of a `headerPattern` that is not understood.
    #[serde(default)]
    pub(crate) invalid_pattern: InvalidPattern,
}

/// What becomes of a pattern that is not understood.
#[config]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum InvalidPattern {
    /// The configuration is refused.
    #[default]
    Error,
    /// It never matches, and what has the header goes by no later rule either, as in ingress-nginx.
    Never,
}

/// The number or the name of a Service's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port(pub(crate) String);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Port;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the number or the name of a port")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Port, E> {
                match number {
                    1..=65_535 => Ok(Port(number.to_string())),
                    _ => Err(E::custom(format!("{number} is no port; write 1 to 65535"))),
                }
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Port, E> {
                let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                if name.is_empty() || name.len() > 15 || !name.bytes().all(sound) {
                    return Err(E::custom(format!("`{name}` is no name of a port")));
                }
                Ok(Port(name.to_owned()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Port {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The number or the name of a Service's port.",
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "minLength": 1, "maxLength": 15}
            ]
        })
    }
}

impl Config {
    /// What the schema cannot say.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.backends.is_empty() {
            return Err(ConfigError::new("/backends", "write at least one backend"));
        }
        if self.weight_total == 0 {
            return Err(ConfigError::new("/weightTotal", "write at least 1"));
        }
        for (index, backend) in self.backends.iter().enumerate() {
            backend.check(index)?;
        }
        let weights = self
            .backends
            .iter()
            .map(|backend| u64::from(backend.weight));
        let (sum, total) = (weights.sum::<u64>(), self.weight_total);
        if sum > u64::from(total) {
            let message =
                format!("the weights are {sum} together, which is more than weightTotal, {total}");
            return Err(ConfigError::new("/backends", message));
        }
        if let Some(cookie) = &self.sticky_cookie
            && !session::is_cookie_name(cookie)
        {
            let message = format!("`{cookie}` is no name of a cookie");
            return Err(ConfigError::new("/stickyCookie", message));
        }
        match (&self.primary, &self.sticky_cookie) {
            (Some(_), None) => {
                let message = "`primary` needs `stickyCookie` beside it";
                Err(ConfigError::new("/primary", message))
            }
            (Some(primary), Some(_)) if !primary.contains(':') => {
                let message = format!("`{primary}` is no backend; write service:port");
                Err(ConfigError::new("/primary", message))
            }
            _ => Ok(()),
        }
    }
}

impl BackendConfig {
    fn check(&self, index: usize) -> Result<(), ConfigError> {
        let refuse = |key: &str, message: &str| {
            Err(ConfigError::new(
                format!("/backends/{index}/{key}"),
                message,
            ))
        };
        if self.service.is_empty() || self.service.contains([':', '/']) {
            return refuse(
                "service",
                "write the name of a Service of the Ingress's namespace",
            );
        }
        let has_value = self.header_value.is_some() || self.header_pattern.is_some();
        match &self.header {
            None if has_value => return refuse("header", "write which header, `header: NAME`"),
            Some(name) if !session::is_cookie_name(name) => {
                return refuse("header", "this is no name of a header");
            }
            _ => {}
        }
        match &self.cookie {
            Some(name) if !session::is_cookie_name(name) => {
                refuse("cookie", "this is no name of a cookie")
            }
            _ => Ok(()),
        }
    }
}

fn hundred() -> u32 {
    100
}
