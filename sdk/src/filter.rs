//! What a filter is.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    BodyVerdict, ChunkVerdict, ConfigError, Request, RequestVerdict, Response, ResponseVerdict,
    Result,
};

/// A filter with one configuration. Write the hooks that it needs, and [`crate::filter`] above the
/// `impl`.
///
/// One instance of the component serves many requests, and holds many filters; it comes and goes. What
/// one hook is to tell the next of the same request goes into [`Request::set_state`], what requests
/// share into [`crate::rate_limit`] or [`crate::key_value`].
///
/// A hook that returns an error or panics has not happened: what it changed is undone, and the plugin's
/// `onError` decides.
pub trait Filter: Sized + 'static {
    /// What is written under the annotation `portcullis.dev/filter.NAME`: a type with
    /// [`crate::config`] on it.
    type Config: DeserializeOwned + JsonSchema;

    /// Takes a configuration that fulfils the schema. Whatever else is wrong with it is said here.
    fn new(config: Self::Config) -> Result<Self, ConfigError>;

    /// Called with the head of each request, in the order of the chain.
    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        let _ = request;
        Ok(RequestVerdict::Next)
    }

    /// Called with the head of each response, in reverse order of the chain, also where a filter of the
    /// chain has answered.
    fn on_response(&self, request: &Request, response: &mut Response) -> Result<ResponseVerdict> {
        let _ = (request, response);
        Ok(ResponseVerdict::Next)
    }

    /// Called with the whole body of each request, up to the plugin's `limits.body`.
    fn on_request_body(&self, request: &mut Request, body: Vec<u8>) -> Result<BodyVerdict> {
        let _ = (request, body);
        Ok(BodyVerdict::Next)
    }

    /// Called with the whole body of each response, up to the plugin's `limits.body`.
    fn on_response_body(
        &self,
        request: &Request,
        response: &mut Response,
        body: Vec<u8>,
    ) -> Result<BodyVerdict> {
        let _ = (request, response, body);
        Ok(BodyVerdict::Next)
    }

    /// Called with each piece of a response's body. The last one may be empty. Pieces of other
    /// responses come in between: keep what one piece is to tell the next in [`Request::set_state`].
    fn on_response_chunk(
        &self,
        request: &Request,
        response: &Response,
        chunk: Vec<u8>,
        last: bool,
    ) -> Result<ChunkVerdict> {
        let _ = (request, response, chunk, last);
        Ok(ChunkVerdict::Pass)
    }
}
