//! What a filter need not be called for.

use http::{HeaderMap, HeaderName};
use wasmtime::Result;

use super::{Guest, Phase, cookies, wit};

/// The requests that a configuration's request hook is for: those with any of these.
#[derive(Debug)]
pub(crate) struct Interest {
    fields: Vec<HeaderName>,
    cookies: Vec<String>,
}

impl Interest {
    /// Whether a request with these fields is one of them.
    pub(crate) fn covers(&self, fields: &HeaderMap) -> bool {
        self.fields.iter().any(|name| fields.contains_key(name))
            || self
                .cookies
                .iter()
                .any(|name| cookies::find(fields, name).is_some())
    }
}

impl wit::interest::Host for Guest {
    fn requests_with(&mut self, fields: Vec<String>, cookies: Vec<String>) -> Result<()> {
        self.acting()?;
        if self.phase != Phase::Configure {
            return Err(self.stop("`requests-with` is for `configure`"));
        }
        // What is no name of a field is in no request.
        let name = |name: &String| HeaderName::from_bytes(name.as_bytes()).ok();
        let few = fields.len() + cookies.len() <= MOST;
        self.interest = few.then(|| Interest {
            fields: fields.iter().filter_map(name).collect(),
            cookies,
        });
        Ok(())
    }
}

/// How many names are looked for in each request.
const MOST: usize = 64;
