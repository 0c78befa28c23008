//! What can be written under `portcullis.dev/filter.rate-limit`.

use portcullis_sdk::{prelude::*, rate_limit::Rule};

use crate::address::Network;

/// How many requests a client may send, and how many at once.
#[config]
pub(crate) struct Config {
    /// That many requests per `per` pass in the long run.
    #[schemars(range(min = 1))]
    requests: Option<u32>,
    /// The time in which `requests` come back, evenly.
    per: Option<Per>,
    /// How many requests pass at once from idle. Default: `requests`.
    #[schemars(range(min = 1))]
    burst: Option<u32>,
    /// Several limits instead of one: a request must pass all, and only then is charged to any.
    #[schemars(length(min = 1, max = 8))]
    limits: Option<Vec<Limit>>,
    /// At most so many requests at once.
    #[schemars(range(min = 1))]
    pub(crate) connections: Option<u32>,
    /// Whose requests are counted together: `client-ip`, `header:NAME` or `cookie:NAME`. A request without
    /// that header or cookie counts by client-ip.
    #[serde(default)]
    pub(crate) key: Key,
    /// Whether all routes of the Ingress count together, or each by itself.
    #[serde(default)]
    pub(crate) scope: Scope,
    /// Clients that are not limited: addresses and networks.
    #[serde(default)]
    pub(crate) exempt: Vec<Network>,
    /// The status of refusals.
    #[serde(default = "too_many_requests")]
    #[schemars(range(min = 400, max = 599))]
    pub(crate) status: u16,
    /// How many leading bits of an IPv6 address make a client: 64 is what one customer usually has.
    #[serde(default = "one_customer")]
    #[schemars(range(min = 1, max = 128))]
    pub(crate) ipv6_prefix: u8,
}

/// One of several limits.
#[config]
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// That many requests per `per` pass in the long run.
    #[schemars(range(min = 1))]
    requests: u32,
    /// The time in which `requests` come back, evenly.
    per: Per,
    /// How many requests pass at once from idle. Default: `requests`.
    #[schemars(range(min = 1))]
    burst: Option<u32>,
}

/// A time.
#[config]
#[derive(Clone, Copy, Debug)]
enum Per {
    /// A second.
    #[serde(rename = "1s")]
    Second,
    /// A minute.
    #[serde(rename = "1m")]
    Minute,
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
}

/// What counts together.
#[config]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All routes of the Ingress.
    #[default]
    Ingress,
    /// Each host and path of its rules by itself.
    Route,
}

/// Whose requests are counted together.
#[config]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[serde(try_from = "String")]
#[schemars(with = "KeyText")]
pub(crate) enum Key {
    /// The client's address.
    #[default]
    ClientIp,
    /// The value of a header.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
}

/// Whose requests are counted together: `client-ip`, `header:NAME` or `cookie:NAME`.
#[config]
#[serde(transparent)]
struct KeyText(
    #[schemars(regex(pattern = r"^(client-ip|(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+)$"))]
    #[expect(dead_code, reason = "only described")]
    String,
);

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(token);
        match text.split_once(':') {
            None if text == "client-ip" => Ok(Self::ClientIp),
            Some(("header", name)) if is_name(name) => Ok(Self::Header(name.to_owned())),
            Some(("cookie", name)) if is_name(name) => Ok(Self::Cookie(name.to_owned())),
            _ => Err(format!(
                "`{text}` is no key; write client-ip, header:NAME or cookie:NAME"
            )),
        }
    }
}

impl Config {
    /// The limits, wherever they are written; none where only connections are limited.
    pub(crate) fn checked_limits(&self) -> Result<Vec<Limit>, ConfigError> {
        if !(400..600).contains(&self.status) {
            return Err(ConfigError::new("/status", "write a status of 400 to 599"));
        }
        if !(1..=128).contains(&self.ipv6_prefix) {
            return Err(ConfigError::new("/ipv6Prefix", "write 1 to 128"));
        }
        if self.connections == Some(0) {
            let message = "0 would refuse all requests; write at least 1";
            return Err(ConfigError::new("/connections", message));
        }
        let limits = match (self.requests, self.per, &self.limits) {
            (Some(requests), Some(per), None) => vec![Limit {
                requests,
                per,
                burst: self.burst,
            }],
            (None, None, limits) if self.burst.is_none() => limits.clone().unwrap_or_default(),
            (_, _, Some(_)) => {
                let message = "write `limits`, or `requests`, `per` and `burst`, not both";
                return Err(ConfigError::new("/limits", message));
            }
            (None, _, None) => {
                let message = "`per` and `burst` need `requests` beside them";
                return Err(ConfigError::new("/requests", message));
            }
            (Some(_), None, None) => {
                let message = "`requests` needs `per` beside it: 1s, 1m or 1h";
                return Err(ConfigError::new("/per", message));
            }
        };
        let place = |index: usize, key: &str| match &self.limits {
            Some(_) => format!("/limits/{index}/{key}"),
            None => format!("/{key}"),
        };
        if limits.len() > 8 {
            return Err(ConfigError::new("/limits", "write at most 8 limits"));
        }
        for (index, limit) in limits.iter().enumerate() {
            for (key, number) in [("requests", limit.requests), ("burst", limit.rule().burst)] {
                if number == 0 {
                    let message = "0 would refuse all requests; write at least 1";
                    return Err(ConfigError::new(place(index, key), message));
                }
            }
        }
        if limits.is_empty() && self.connections.is_none() {
            let message =
                "nothing is limited; write `requests` and `per`, `limits` or `connections`";
            return Err(ConfigError::new("", message));
        }
        Ok(limits)
    }
}

impl Config {
    /// Whether all that counts of a request is its client.
    pub(crate) fn is_about_clients_alone(&self) -> bool {
        self.key == Key::ClientIp
            && self.scope == Scope::Ingress
            && self.connections.is_none()
            && self.exempt.is_empty()
    }
}

impl Limit {
    /// What the gateway's buckets are made of.
    pub(crate) fn rule(&self) -> Rule {
        Rule {
            tokens: self.requests,
            per_ms: match self.per {
                Per::Second => 1000,
                Per::Minute => 60_000,
                Per::Hour => 3_600_000,
            },
            burst: self.burst.unwrap_or(self.requests),
        }
    }
}

fn too_many_requests() -> u16 {
    429
}

fn one_customer() -> u8 {
    64
}
