//! What `wit/filter.wit` is in Rust, generated: one module for each world, so that a filter exports only
//! the hooks that it has. They share the types of `base`.
#![expect(
    unsafe_code,
    missing_docs,
    reason = "generated code, which has to speak the canonical ABI"
)]

/// `plugin`, `types` and `log`.
pub mod base {
    wit_bindgen::generate!({
        path: "../wit/filter.wit",
        world: "portcullis:filter/base",
        export_macro_name: "export",
        pub_export_macro: true,
        default_bindings_module: "portcullis_sdk::export::bindings::base",
        generate_all,
    });
}

/// What can be granted.
pub mod capabilities {
    wit_bindgen::generate!({
        path: "../wit/filter.wit",
        world: "portcullis:filter/capabilities",
        with: { "portcullis:filter/types@0.1.0": super::base::portcullis::filter::types },
        generate_all,
    });
}

macro_rules! hook {
    ($(#[$doc:meta])* $module:ident, $world:literal, $path:literal) => {
        $(#[$doc])*
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit/filter.wit",
                world: $world,
                export_macro_name: "export",
                pub_export_macro: true,
                default_bindings_module: $path,
                with: { "portcullis:filter/types@0.1.0": super::base::portcullis::filter::types },
                generate_all,
            });
        }
    };
}

hook!(
    /// The request hook.
    request_filter,
    "portcullis:filter/request-filter",
    "portcullis_sdk::export::bindings::request_filter"
);
hook!(
    /// The response hook.
    response_filter,
    "portcullis:filter/response-filter",
    "portcullis_sdk::export::bindings::response_filter"
);
hook!(
    /// The hook for requests' bodies.
    request_body_filter,
    "portcullis:filter/request-body-filter",
    "portcullis_sdk::export::bindings::request_body_filter"
);
hook!(
    /// The hook for responses' bodies.
    response_body_filter,
    "portcullis:filter/response-body-filter",
    "portcullis_sdk::export::bindings::response_body_filter"
);
hook!(
    /// The hook for pieces of responses' bodies.
    response_stream_filter,
    "portcullis:filter/response-stream-filter",
    "portcullis_sdk::export::bindings::response_stream_filter"
);

use base::portcullis::filter::types::{Request, Response};

/// The request that a call was lent, as a value of its own: it goes back when that is dropped.
pub(super) fn lent_request(request: &Request) -> Request {
    // SAFETY: the handle is the one that `request` had, which has none any more.
    unsafe { Request::from_handle(request.take_handle()) }
}

/// The response that a call was lent.
pub(super) fn lent_response(response: &Response) -> Response {
    // SAFETY: as above.
    unsafe { Response::from_handle(response.take_handle()) }
}
