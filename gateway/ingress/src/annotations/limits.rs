//! Limits, in the terms of ingress-nginx: its `limit-*` keys as a configuration of `rate-limit`.
//!
//! That controller's leaky bucket admits one request more than its burst from idle, and its burst is
//! the rate times a multiplier.

use serde_json::{Map, Value, json};

use super::{Derived, Key, Reporter, set, value};

/// The keys while they are read.
#[derive(Default)]
pub(super) struct Draft {
    per_second: Option<u32>,
    per_minute: Option<u32>,
    connections: Option<u32>,
    multiplier: Option<u32>,
    allowlist: Option<Vec<String>>,
    whitelist: Option<Vec<String>>,
}

impl Draft {
    pub(super) fn finish(self, reporter: &mut Reporter<'_>) -> Option<Derived> {
        let multiplier = u64::from(self.multiplier.unwrap_or(DEFAULT_MULTIPLIER));
        let limit = |(rate, per): (Option<u32>, &str)| {
            // Zero is off there.
            let rate = u64::from(rate.filter(|rate| *rate > 0)?);
            let burst = (1 + rate * multiplier).min(MOST);
            Some(json!({"requests": rate, "per": per, "burst": burst}))
        };
        let limits = [(self.per_second, "1s"), (self.per_minute, "1m")].into_iter();
        let limits: Vec<Value> = limits.filter_map(limit).collect();
        let connections = self.connections.filter(|n| *n > 0);
        let key = match (self.per_second, self.per_minute, connections) {
            (Some(1..), ..) => RPS,
            (_, Some(1..), _) => RPM,
            (_, _, Some(_)) => CONNECTIONS,
            (_, _, None) => {
                let alone = [
                    (MULTIPLIER, self.multiplier.is_some()),
                    (ALLOWLIST, self.allowlist.is_some()),
                    (WHITELIST, self.whitelist.is_some()),
                ];
                for (key, _) in alone.iter().filter(|(_, present)| *present) {
                    let message = "the annotation does nothing without a limit";
                    let hint = "write limit-rps, limit-rpm or limit-connections, or take it out";
                    reporter.warn(key, message, hint);
                }
                return None;
            }
        };
        let mut config = Map::new();
        if !limits.is_empty() {
            config.insert("limits".to_owned(), limits.into());
        }
        if let Some(connections) = connections {
            config.insert("connections".to_owned(), connections.into());
        }
        if let Some(exempt) = self.allowlist.or(self.whitelist) {
            config.insert("exempt".to_owned(), exempt.into());
        }
        config.insert("status".to_owned(), 503.into());
        config.insert("key".to_owned(), "client-ip".into());
        config.insert("ipv6Prefix".to_owned(), 128.into());
        Some(Derived { key, config })
    }
}

/// The keys, without [`super::NGINX`].
pub(super) const KEYS: &[Key] = &[
    (RPS, |draft, text| {
        set(
            &mut draft.limits.per_second,
            value::nginx_number(text),
            NUMBER,
        )
    }),
    (RPM, |draft, text| {
        set(
            &mut draft.limits.per_minute,
            value::nginx_number(text),
            NUMBER,
        )
    }),
    (CONNECTIONS, |draft, text| {
        set(
            &mut draft.limits.connections,
            value::nginx_number(text),
            NUMBER,
        )
    }),
    (MULTIPLIER, |draft, text| {
        set(
            &mut draft.limits.multiplier,
            value::nginx_number(text),
            NUMBER,
        )
    }),
    (ALLOWLIST, |draft, text| {
        set(&mut draft.limits.allowlist, value::networks(text), NETWORKS)
    }),
    (WHITELIST, |draft, text| {
        set(&mut draft.limits.whitelist, value::networks(text), NETWORKS)
    }),
];

const RPS: &str = "limit-rps";
const RPM: &str = "limit-rpm";
const CONNECTIONS: &str = "limit-connections";
const MULTIPLIER: &str = "limit-burst-multiplier";
const ALLOWLIST: &str = "limit-allowlist";
const WHITELIST: &str = "limit-whitelist";
const DEFAULT_MULTIPLIER: u32 = 5;
/// What the filter takes: whoever writes so much means that there is no limit.
const MOST: u64 = u32::MAX as u64;
const NUMBER: &str = "write a whole number, as in \"10\"";
const NETWORKS: &str = "write addresses and networks, as in \"10.0.0.0/8, 2001:db8::/32\"";
