//! Keeps a session on one endpoint, with a cookie.
//!
//! ```yaml
//! portcullis.dev/filters: sticky-session
//! portcullis.dev/filter.sticky-session: |
//!   {cookie: SESSION, mode: persistent, maxAge: 3600}
//! ```
//!
//! A session stays on an endpoint that is terminating and still serves; new ones never go there. The format of
//! the cookie is in the package `session`. Needs the grant `random`.

mod agent;
mod config;
mod cookie;
mod date;

use portcullis_sdk::{interest, prelude::*, random};
use session::{Session, backend_hash};

use config::Config;

struct StickySession(Config);

#[filter]
impl Filter for StickySession {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        // The hook is for sessions that begin, or cannot go on as they are.
        interest::resume_sessions(&config.cookie, config.is_strict(), config.is_balanced());
        Ok(Self(config))
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        let config = &self.0;
        let cookie = request.cookie(&config.cookie);
        let session = cookie.as_deref().and_then(Session::parse);
        // What a cookie names may be gone, or never have been: whoever sends it may have made it up.
        let (strict, balanced) = (config.is_strict(), config.is_balanced());
        // Where it goes on as it is, there is nothing to tell the client, and no response hook.
        let goes_on = session.is_some_and(|session| {
            let key = balanced.then_some(session.key.as_bytes());
            request.resume(session.endpoint, session.backend_number(), strict, key)
        });
        if goes_on {
            return Ok(RequestVerdict::Next);
        }
        // The response hook may run on another instance: the key of a new session is kept by the gateway.
        let key = format!("{:016x}", random::u64());
        if balanced {
            request.hash_by(&key);
        }
        request.set_state(STATE, key)?;
        Ok(RequestVerdict::Next)
    }

    fn on_response(&self, request: &Request, response: &mut Response) -> Result<ResponseVerdict> {
        let (Some(endpoint), Some(backend)) = (response.endpoint(), response.backend()) else {
            return Ok(ResponseVerdict::Next);
        };
        let backends = self.0.backends.as_ref();
        if backends.is_some_and(|backends| !backends.contains(&backend)) {
            return Ok(ResponseVerdict::Next);
        }
        let (cookie, backend) = (request.cookie(&self.0.cookie), backend_hash(&backend));
        let before = cookie.as_deref().and_then(Session::parse);
        let goes_on =
            |session: &Session<'_>| session.endpoint == endpoint && session.backend == backend;
        if before.as_ref().is_some_and(goes_on) {
            return Ok(ResponseVerdict::Next);
        }
        // A new session has a key of its own; one that moved keeps the one it had.
        let new = request.state(STATE).map(String::from_utf8);
        let new = new.and_then(std::result::Result::ok);
        let Some(key) = new.as_deref().or_else(|| before.map(|before| before.key)) else {
            return Ok(ResponseVerdict::Next);
        };
        let session = Session {
            key,
            endpoint: &endpoint,
            backend: &backend,
        };
        match session.value() {
            Some(value) => {
                let field = cookie::field(&self.0, &value, request);
                response.add_header("set-cookie", field)?;
            }
            None => log::warn!("no cookie can hold the endpoint `{endpoint}`"),
        }
        Ok(ResponseVerdict::Next)
    }
}

/// Where the request hook leaves the session for the response hook.
const STATE: &str = "session";

#[cfg(test)]
mod tests;
