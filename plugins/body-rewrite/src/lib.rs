//! Finds and replaces in the bodies of responses, while they stream.
//!
//! ```yaml
//! portcullis.dev/filters: my-team/body-rewrite
//! portcullis.dev/filter.body-rewrite: |
//!   {replace: [{find: "http://old.example.com", with: "https://example.com"}]}
//! ```
//!
//! What is found may lie across the borders of pieces. Only text is looked at: responses of other content types, and
//! those that are compressed, pass untouched; so that few are, requests lose their `accept-encoding`. Needs no grant.

mod rewrite;

use portcullis_sdk::prelude::*;

use rewrite::{Pair, Rewriter};

/// What is replaced by what, and where.
#[config]
struct Config {
    /// What is found is replaced; where two begin at the same place, the first one written wins.
    #[schemars(length(min = 1, max = 32))]
    replace: Vec<Pair>,
    /// The content types that are looked at, without parameters; one that ends with `/*` is all of its kind.
    #[serde(default = "text")]
    content_types: Vec<String>,
}

struct BodyRewrite {
    rewriter: Rewriter,
    content_types: Vec<String>,
}

#[filter]
impl Filter for BodyRewrite {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        let rewriter = Rewriter::new(config.replace);
        Ok(Self {
            rewriter: rewriter.map_err(|(place, message)| ConfigError::new(place, message))?,
            content_types: config.content_types,
        })
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        // A range or a cached validator is of the body before it is rewritten.
        for name in ["accept-encoding", "range", "if-range"] {
            request.remove_header(name)?;
        }
        Ok(RequestVerdict::Next)
    }

    fn on_response(&self, request: &Request, response: &mut Response) -> Result<ResponseVerdict> {
        if self.applies(response) {
            request.set_state(APPLIES, b"yes")?;
            // They are of the body before it is rewritten.
            for name in [
                "etag",
                "content-md5",
                "digest",
                "repr-digest",
                "content-digest",
            ] {
                response.remove_header(name)?;
            }
        }
        Ok(ResponseVerdict::Next)
    }

    fn on_response_chunk(
        &self,
        request: &Request,
        _: &Response,
        chunk: Vec<u8>,
        last: bool,
    ) -> Result<ChunkVerdict> {
        if request.state(APPLIES).is_none() {
            return Ok(ChunkVerdict::Pass);
        }
        // What the last piece ended with may be the beginning of something.
        let mut text = request.state(TAIL).unwrap_or_default();
        text.extend(chunk);
        let done = self.rewriter.run(&text, last);
        request.set_state(TAIL, done.tail)?;
        Ok(if done.text.is_empty() {
            ChunkVerdict::Drop
        } else {
            ChunkVerdict::Replace(done.text)
        })
    }
}

impl BodyRewrite {
    fn applies(&self, response: &Response) -> bool {
        let encoding = response.header_str("content-encoding");
        let plain = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
        // A part of a body may begin in the midst of what is looked for.
        plain && response.status() != 206 && self.is_listed(response)
    }

    fn is_listed(&self, response: &Response) -> bool {
        let Some(field) = response.header_str("content-type") else {
            return false;
        };
        let essence = field.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        let (kind, _) = essence.split_once('/').unwrap_or_default();
        let mut listed = self.content_types.iter();
        listed.any(|listed| match listed.strip_suffix("/*") {
            Some(all) => all.eq_ignore_ascii_case(kind),
            None => listed.eq_ignore_ascii_case(&essence),
        })
    }
}

fn text() -> Vec<String> {
    let all = [
        "text/*",
        "application/javascript",
        "application/json",
        "application/xhtml+xml",
        "application/xml",
        "image/svg+xml",
    ];
    all.map(str::to_owned).to_vec()
}

/// Set where the response is rewritten.
const APPLIES: &str = "applies";
/// The end of the last piece that may be the beginning of something.
const TAIL: &str = "tail";

#[cfg(test)]
mod tests;
