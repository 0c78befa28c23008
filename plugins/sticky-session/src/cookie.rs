//! The `set-cookie` field of a session.

use portcullis_sdk::{clock, prelude::*};

use crate::{
    agent,
    config::{Config, SameSite, is_attribute},
    date,
};

/// The value of the field that sets a session's cookie.
pub(crate) fn field(config: &Config, value: &str, request: &Request) -> String {
    let path = match &config.path {
        Some(path) => path.clone(),
        // A rule's path may hold what a cookie cannot.
        None => Some(request.rule_path())
            .filter(|path| is_attribute(path))
            .unwrap_or_default(),
    };
    let path = if path.is_empty() { "/" } else { &path };
    let mut field = format!("{}={value}; Path={path}; HttpOnly", config.cookie);
    let mut attribute = |name: &str, value: &str| {
        field.push_str("; ");
        field.push_str(name);
        if !value.is_empty() {
            field.push('=');
            field.push_str(value);
        }
    };
    if let Some(domain) = &config.domain {
        attribute("Domain", domain);
    }
    if let Some(seconds) = config.max_age {
        attribute("Max-Age", &seconds.to_string());
    }
    if let Some(seconds) = config.expires {
        let at = clock::since_epoch().as_secs() + u64::from(seconds);
        attribute("Expires", &date::http(at));
    }
    if config.secure.unwrap_or_else(|| request.scheme() == "https") {
        attribute("Secure", "");
    }
    if let Some(same_site) = config.same_site
        && !is_misunderstood(config, same_site, request)
    {
        attribute("SameSite", same_site.as_str());
    }
    field
}

/// Whether the client would take `SameSite=None` for `Strict`.
fn is_misunderstood(config: &Config, same_site: SameSite, request: &Request) -> bool {
    let asked = config.conditional_same_site_none && same_site == SameSite::None;
    asked
        && request
            .header_str("user-agent")
            .is_some_and(|agent| agent::knows_no_none(&agent))
}
