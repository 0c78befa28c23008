//! What a filter need not be called for, and what the gateway does in its place.

use std::{net::IpAddr, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName};
use proxy::filter::Exchange;
use wasmtime::{Result, component::Resource};

use super::{
    BucketHandle, Guest, Phase, cookies,
    rate_limit::{self, Bucket},
    session::Sessions,
    wit,
};

/// What is done with a request instead of a call of the request hook.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    /// The requests that the hook is for, if those are not all.
    about: Option<About>,
    sessions: Option<Sessions>,
    tokens: Option<Tokens>,
}

/// Requests with any of these.
#[derive(Debug)]
struct About {
    fields: Vec<HeaderName>,
    cookies: Vec<String>,
}

/// Tokens that each request takes from the bucket of its client.
#[derive(Debug)]
struct Tokens {
    bucket: Arc<Bucket>,
    ipv6_prefix: u8,
    number: u32,
}

impl Interest {
    /// Does with a request what the attachment's hook would do; false where the hook is to be called. What
    /// is done then, the hook does again.
    pub(crate) fn settles(&self, attachment: u32, exchange: &mut Exchange) -> bool {
        let covers = |about: &About| about.covers(&exchange.request.headers);
        if !self.about.as_ref().is_none_or(covers) {
            return true;
        }
        let (sessions, tokens) = (self.sessions.as_ref(), self.tokens.as_ref());
        // Tokens last: a hook that is called takes its own.
        (sessions.is_some() || tokens.is_some())
            && sessions.is_none_or(|sessions| sessions.resumes(attachment, exchange))
            && tokens.is_none_or(|tokens| tokens.takes(exchange.facts.client))
    }
}

impl About {
    fn covers(&self, fields: &HeaderMap) -> bool {
        let has = |name: &String| cookies::find(fields, name).is_some();
        self.fields.iter().any(|name| fields.contains_key(name)) || self.cookies.iter().any(has)
    }
}

impl Tokens {
    fn takes(&self, client: IpAddr) -> bool {
        let key = rate_limit::client(client, self.ipv6_prefix);
        self.bucket.take(key, self.number, Instant::now()).allowed
    }
}

impl Guest {
    /// Ends what calls this outside of `configure`.
    fn configures(&mut self, otherwise: &'static str) -> Result<()> {
        self.acting()?;
        if self.phase != Phase::Configure {
            return Err(self.stop(otherwise));
        }
        Ok(())
    }

    /// From then on the gateway takes tokens for the clients of requests.
    pub(super) fn take_for_clients(
        &mut self,
        handle: &Resource<BucketHandle>,
        tokens: (u8, u32),
    ) -> Result<()> {
        self.configures("`take-clients` is for `configure`")?;
        let bucket = Arc::clone(rate_limit::bucket(self, handle)?);
        let (ipv6_prefix, number) = tokens;
        self.interest.get_or_insert_default().tokens = Some(Tokens {
            bucket,
            ipv6_prefix,
            number,
        });
        Ok(())
    }
}

impl wit::interest::Host for Guest {
    fn requests_with(&mut self, fields: Vec<String>, cookies: Vec<String>) -> Result<()> {
        self.configures("`requests-with` is for `configure`")?;
        // What is no name of a field is in no request.
        let name = |name: &String| HeaderName::from_bytes(name.as_bytes()).ok();
        let few = fields.len() + cookies.len() <= MOST;
        self.interest.get_or_insert_default().about = few.then(|| About {
            fields: fields.iter().filter_map(name).collect(),
            cookies,
        });
        Ok(())
    }

    fn resume_sessions(&mut self, cookie: String, strict: bool, balanced: bool) -> Result<()> {
        self.configures("`resume-sessions` is for `configure`")?;
        self.interest.get_or_insert_default().sessions = Some(Sessions {
            cookie,
            strict,
            balanced,
        });
        Ok(())
    }
}

/// How many names are looked for in each request.
const MOST: usize = 64;
