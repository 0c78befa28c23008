//! Sends some requests to other backends: by header, by cookie, or by chance.
//!
//! ```yaml
//! portcullis.dev/filters: canary
//! portcullis.dev/filter.canary: |
//!   backends:
//!     - {service: web-next, port: 80, header: X-Canary, weight: 5}
//! ```
//!
//! Here `X-Canary: always` goes to `web-next`, `X-Canary: never` does not, and of all other requests five in a
//! hundred do. Needs the grants `random` and `backends`.

mod backend;
mod config;
mod pattern;

use portcullis_sdk::{interest, prelude::*, random};
use session::{Session, backend_hash};

use backend::{Backend, Choice};
use config::Config;

struct Canary {
    backends: Vec<Backend>,
    weight_total: u32,
    sticky: Option<Sticky>,
}

/// The sessions of `sticky-session`, which go where they went before, whatever the rules say.
struct Sticky {
    cookie: String,
    /// The hash of the Ingress's own backend; none where any session that is no canary's stays there.
    primary: Option<String>,
}

#[filter]
impl Filter for Canary {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let sticky = config.sticky_cookie.map(|cookie| Sticky {
            cookie,
            primary: config.primary.as_deref().map(backend_hash),
        });
        let backends = config.backends.into_iter().enumerate();
        let backends = backends.map(|(index, backend)| Backend::new(index, backend));
        let canary = Self {
            backends: backends.collect::<Result<_, _>>()?,
            weight_total: config.weight_total,
            sticky,
        };
        canary.say_what_it_is_for();
        Ok(canary)
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        let Some(backend) = self.choose(request) else {
            return Ok(RequestVerdict::Next);
        };
        Ok(match request.reroute(backend.name()) {
            Ok(()) => RequestVerdict::Next,
            Err(error) => {
                log::warn!("{}: {error}", backend.name());
                gone().into()
            }
        })
    }
}

impl Canary {
    /// Chance may choose any request; rules and sessions are only about those that have what they look at.
    fn say_what_it_is_for(&self) {
        if self.backends.iter().any(|backend| backend.weight() > 0) {
            return;
        }
        let headers: Vec<&str> = self.backends.iter().filter_map(Backend::header).collect();
        let cookies = self.backends.iter().filter_map(Backend::cookie);
        let session = self.sticky.iter().map(|sticky| sticky.cookie.as_str());
        interest::requests_with(&headers, &cookies.chain(session).collect::<Vec<_>>());
    }

    /// Where a request goes; none is the Ingress's own backend.
    fn choose(&self, request: &Request) -> Option<&Backend> {
        if let Some(chosen) = self.by_session(request) {
            return chosen;
        }
        let mut open = Vec::with_capacity(self.backends.len());
        for backend in &self.backends {
            match backend.by_rule(request) {
                Choice::It => return Some(backend),
                Choice::Open => open.push(backend),
                Choice::RuledOut => {}
            }
        }
        self.by_chance(&open)
    }

    /// Where the request's session goes, if it has one that counts here.
    fn by_session(&self, request: &Request) -> Option<Option<&Backend>> {
        let sticky = self.sticky.as_ref()?;
        let cookie = request.cookie(&sticky.cookie)?;
        let session = Session::parse(&cookie)?;
        let mut backends = self.backends.iter();
        let found = backends.find(|backend| backend.session() == session.backend);
        let is_primary = match &sticky.primary {
            Some(primary) => *primary == session.backend,
            None => true,
        };
        match found {
            Some(backend) => Some(Some(backend)),
            None if is_primary => Some(None),
            None => None,
        }
    }

    /// Weights last: each backend that is not ruled out has its share of the numbers below `weightTotal`,
    /// and what is left is the Ingress's own.
    fn by_chance<'b>(&self, open: &[&'b Backend]) -> Option<&'b Backend> {
        if open.iter().all(|backend| backend.weight() == 0) {
            return None;
        }
        let mut drawn = random::below(self.weight_total);
        for backend in open {
            match drawn.checked_sub(backend.weight()) {
                Some(rest) => drawn = rest,
                None => return Some(backend),
            }
        }
        None
    }
}

/// The answer where the chosen backend is not there. Not the Ingress's own backend: who asked for the canary
/// is not to take another for it.
fn gone() -> LocalResponse {
    LocalResponse::text(503, "the service is not available\n")
        .with_header("portcullis-reason", "no-service")
        .with_header("retry-after", "5")
}

#[cfg(test)]
mod tests;
