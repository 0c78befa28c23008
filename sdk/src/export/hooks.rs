//! From the gateway's calls to the methods of a filter.

use std::{marker::PhantomData, rc::Rc, thread::LocalKey};

use super::{
    Named, Table,
    bindings::{
        base::{
            exports::portcullis::filter::plugin::{self, Info},
            portcullis::filter::types,
        },
        lent_request, lent_response,
        request_body_filter::exports::portcullis::filter::request_body_hook,
        request_filter::exports::portcullis::filter::request_hook,
        response_body_filter::exports::portcullis::filter::response_body_hook,
        response_filter::exports::portcullis::filter::response_hook,
        response_stream_filter::exports::portcullis::filter::response_stream_hook,
    },
    panics,
};
use crate::{
    BodyVerdict, ChunkVerdict, Failure, LocalResponse, Request, RequestVerdict, Response,
    ResponseVerdict, Result, configuration, sys,
};

/// A filter with a place for its configurations.
pub trait Exported: Named {
    /// The filters of this instance.
    fn table() -> &'static LocalKey<Table<Self>>;
}

/// What is exported of a filter.
#[derive(Debug)]
pub struct Export<F>(PhantomData<F>);

/// Runs a hook of the filter that has this id.
fn run<F: Exported, V>(id: u32, hook: impl FnOnce(&F) -> Result<V>) -> V {
    panics::log_them();
    let verdict = match F::table().with(|table| table.get(id)) {
        Some(filter) => hook(&Rc::clone(&filter)),
        None => Err(Failure::new("a hook was called before `configure`")),
    };
    verdict.unwrap_or_else(|failure| panics::end(&failure))
}

fn request(lent: &types::Request) -> Request {
    Request(sys::Request(lent_request(lent)))
}

fn response(lent: &types::Response) -> Response {
    Response(sys::Response(lent_response(lent)))
}

impl<F: Exported> plugin::Guest for Export<F> {
    fn describe() -> Info {
        panics::log_them();
        Info {
            name: F::NAME.to_owned(),
            version: F::VERSION.to_owned(),
            config_schema: configuration::schema::<F>(),
        }
    }

    fn configure(id: u32, config: String) -> std::result::Result<(), plugin::ConfigError> {
        panics::log_them();
        let filter = configuration::filter::<F>(&config);
        let filter = filter.map_err(|error| plugin::ConfigError {
            pointer: error.pointer,
            message: error.message,
        })?;
        F::table().with(|table| table.insert(id, filter));
        Ok(())
    }

    fn release(id: u32) {
        F::table().with(|table| table.remove(id));
    }
}

impl<F: Exported> request_hook::Guest for Export<F> {
    fn on_request(id: u32, lent: &types::Request) -> types::RequestVerdict {
        let mut request = request(lent);
        match run(id, |filter: &F| filter.on_request(&mut request)) {
            RequestVerdict::Next => types::RequestVerdict::Next,
            RequestVerdict::Respond(answer) => types::RequestVerdict::Respond(answer.into()),
        }
    }
}

impl<F: Exported> response_hook::Guest for Export<F> {
    fn on_response(
        id: u32,
        lent: &types::Request,
        answer: &types::Response,
    ) -> types::ResponseVerdict {
        let (request, mut response) = (request(lent), response(answer));
        match run(id, |filter: &F| filter.on_response(&request, &mut response)) {
            ResponseVerdict::Next => types::ResponseVerdict::Next,
            ResponseVerdict::Replace(answer) => types::ResponseVerdict::Replace(answer.into()),
        }
    }
}

impl<F: Exported> request_body_hook::Guest for Export<F> {
    fn on_request_body(id: u32, lent: &types::Request, body: Vec<u8>) -> types::BodyVerdict {
        let mut request = request(lent);
        run(id, |filter: &F| filter.on_request_body(&mut request, body)).into()
    }
}

impl<F: Exported> response_body_hook::Guest for Export<F> {
    fn on_response_body(
        id: u32,
        lent: &types::Request,
        answer: &types::Response,
        body: Vec<u8>,
    ) -> types::BodyVerdict {
        let (request, mut response) = (request(lent), response(answer));
        run(id, |filter: &F| {
            filter.on_response_body(&request, &mut response, body)
        })
        .into()
    }
}

impl<F: Exported> response_stream_hook::Guest for Export<F> {
    fn on_response_chunk(
        id: u32,
        lent: &types::Request,
        answer: &types::Response,
        chunk: Vec<u8>,
        last: bool,
    ) -> types::ChunkVerdict {
        let (request, response) = (request(lent), response(answer));
        let verdict = run(id, |filter: &F| {
            filter.on_response_chunk(&request, &response, chunk, last)
        });
        match verdict {
            ChunkVerdict::Pass => types::ChunkVerdict::Pass,
            ChunkVerdict::Replace(bytes) => types::ChunkVerdict::Replace(bytes),
            ChunkVerdict::Drop => types::ChunkVerdict::Drop,
            ChunkVerdict::Abort => types::ChunkVerdict::Abort,
        }
    }
}

impl From<LocalResponse> for types::LocalResponse {
    fn from(answer: LocalResponse) -> Self {
        Self {
            status: answer.status,
            headers: answer
                .headers
                .into_iter()
                .map(types::Header::from)
                .collect(),
            body: answer.body,
        }
    }
}

impl From<BodyVerdict> for types::BodyVerdict {
    fn from(verdict: BodyVerdict) -> Self {
        match verdict {
            BodyVerdict::Next => Self::Next,
            BodyVerdict::Replace(bytes) => Self::Replace(bytes),
            BodyVerdict::Respond(answer) => Self::Respond(answer.into()),
        }
    }
}
