//! Limits how many requests a client may send, and how many at once.
//!
//! ```yaml
//! portcullis.dev/filters: rate-limit
//! portcullis.dev/filter.rate-limit: |
//!   {requests: 10, per: 1s, burst: 20, key: client-ip}
//! ```
//!
//! From idle exactly `burst` requests pass at once, then `requests` per `per`. What is refused gets 429 with
//! `Retry-After`, `RateLimit` and `RateLimit-Policy`. Needs the grant `rateLimit`.

mod address;
mod config;
mod key;

use portcullis_sdk::{
    prelude::*,
    rate_limit::{Bucket, Decision, Rule, acquire},
};

use config::{Config, Limit, Scope};

struct RateLimit {
    config: Config,
    limits: Vec<Limit>,
    /// None where only connections are limited.
    bucket: Option<Bucket>,
    /// What `RateLimit-Policy` says.
    policy: String,
}

#[filter]
impl Filter for RateLimit {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        let limits = config.checked_limits()?;
        let rules: Vec<Rule> = limits.iter().map(Limit::rule).collect();
        let bucket = (!rules.is_empty()).then(|| Bucket::open("requests", &rules));
        let bucket = bucket.transpose();
        let bucket = bucket.map_err(|error| ConfigError::new("", error.to_string()))?;
        if let Some(bucket) = &bucket
            && config.is_about_clients_alone()
        {
            // The hook is for those who are over the limit.
            bucket.take_clients(config.ipv6_prefix, 1);
        }
        Ok(Self {
            bucket,
            policy: policy(&limits),
            limits,
            config,
        })
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        let config = &self.config;
        if !config.exempt.is_empty() {
            let client = request.client_ip();
            if config.exempt.iter().any(|network| network.contains(client)) {
                return Ok(RequestVerdict::Next);
            }
        }
        let own = key::own(&config.key, request);
        // Most requests are counted by their client alone, which the gateway knows without a text.
        let by_client = own.is_none() && config.scope != Scope::Route;
        let needs_text = !by_client || config.connections.is_some();
        let key = needs_text.then(|| self.key(own, request));

        // First the tokens, then the permit: a request that finds no permit has been charged, as in nginx.
        if let Some(bucket) = &self.bucket {
            let decision = match &key {
                Some(key) if !by_client => bucket.take(key, 1),
                _ => bucket.take_client(request, config.ipv6_prefix, 1),
            };
            if !decision.allowed {
                return Ok(self.too_many(decision).into());
            }
        }
        match (config.connections, key) {
            (Some(most), Some(key)) if !acquire(&key, most) => {
                Ok(self.too_many_at_once(most).into())
            }
            _ => Ok(RequestVerdict::Next),
        }
    }
}

impl RateLimit {
    /// By what the request is counted, as a text.
    fn key(&self, own: Option<String>, request: &Request) -> String {
        let config = &self.config;
        let mut key = own.unwrap_or_else(|| key::client(config.ipv6_prefix, request));
        if config.scope == Scope::Route {
            key = format!("{}{}\n{key}", request.rule_host(), request.rule_path());
        }
        key::fitting(key)
    }

    fn too_many(&self, decision: Decision) -> LocalResponse {
        let wait = seconds(decision.retry_after_ms);
        // The gateway says which limit it was by its burst. Of two with the same it is none that would
        // have been waited for less.
        let nearest = |limit: &Limit| {
            let rule = limit.rule();
            let token = u64::from(rule.per_ms).div_ceil(u64::from(rule.tokens));
            rule.burst == decision.limit && token >= u64::from(decision.retry_after_ms)
        };
        let index = self.limits.iter().position(nearest).unwrap_or_default();
        let name = name(index, self.limits.len());
        self.refusal(wait)
            .with_header("ratelimit-policy", &self.policy)
            .with_header(
                "ratelimit",
                format!("{name};r={};t={wait}", decision.remaining),
            )
    }

    fn too_many_at_once(&self, most: u32) -> LocalResponse {
        self.refusal(1)
            .with_header("ratelimit-policy", format!("\"connections\";q={most}"))
            .with_header("ratelimit", "\"connections\";r=0;t=1")
    }

    fn refusal(&self, wait: u32) -> LocalResponse {
        LocalResponse::text(self.config.status, "the rate limit is reached\n")
            .with_header("retry-after", wait.to_string())
            .with_header("portcullis-reason", "rate-limit")
    }
}

/// At least one: zero would invite to come back at once.
fn seconds(milliseconds: u32) -> u32 {
    milliseconds.div_ceil(1000).max(1)
}

/// `"default";q=10;w=1`: so many requests in so many seconds.
fn policy(limits: &[Limit]) -> String {
    let number = limits.len();
    let one = |(index, limit): (usize, &Limit)| {
        let rule = limit.rule();
        let window = rule.per_ms / 1000;
        format!("{};q={};w={window}", name(index, number), rule.tokens)
    };
    limits
        .iter()
        .enumerate()
        .map(one)
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a limit is called in `RateLimit`: of one it is `default`, of several each has its number.
fn name(index: usize, number: usize) -> String {
    if number == 1 {
        "\"default\"".to_owned()
    } else {
        format!("\"limit-{}\"", index + 1)
    }
}

#[cfg(test)]
mod tests;
