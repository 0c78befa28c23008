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

use portcullis_sdk::{prelude::*, random};
use session::{Session, backend_hash};

use config::{Config, Mode};

struct StickySession(Config);

#[filter]
impl Filter for StickySession {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self(config))
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        let config = &self.0;
        let cookie = request.cookie(&config.cookie);
        let session = cookie.as_deref().and_then(Session::parse);
        // What a cookie names may be gone, or never have been: whoever sends it may have made it up.
        let strict = !config.change_on_failure;
        let session = session.filter(|session| request.pin(&session.endpoint, strict));
        let key = match &session {
            Some(session) => session.key.clone(),
            None => format!("{:016x}", random::u64()),
        };
        if config.mode == Mode::Balanced {
            request.hash_by(&key);
        }
        // The response hook may run on another instance: what it is to know is kept by the gateway. A
        // session that goes on is its cookie; a new one only its key, which has no dots.
        let known = session.as_ref().and_then(Session::value);
        request.set_state(STATE, known.unwrap_or(key))?;
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
        let state = request
            .state(STATE)
            .and_then(|state| String::from_utf8(state).ok());
        let Some(state) = state else {
            return Ok(ResponseVerdict::Next);
        };
        let before = Session::parse(&state);
        let session = Session {
            key: before.as_ref().map_or(state, |before| before.key.clone()),
            endpoint,
            backend: backend_hash(&backend),
        };
        if before.as_ref() == Some(&session) {
            return Ok(ResponseVerdict::Next);
        }
        match session.value() {
            Some(value) => {
                let field = cookie::field(&self.0, &value, request);
                response.add_header("set-cookie", field)?;
            }
            None => log::warn!("no cookie can hold the endpoint `{}`", session.endpoint),
        }
        Ok(ResponseVerdict::Next)
    }
}

/// Where the request hook leaves the session for the response hook.
const STATE: &str = "session";

#[cfg(test)]
mod tests;
