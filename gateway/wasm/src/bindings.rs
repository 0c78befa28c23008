//! What `wit/filter.wit` is in Rust, generated.

wasmtime::component::bindgen!({
    path: "../../wit/filter.wit",
    world: "portcullis:filter/filter",
    // Any call of the host may end the guest: each is counted.
    imports: {
        // It waits, and so its guests have a stack of their own.
        "portcullis:filter/http-client.send": async | trappable,
        default: trappable,
    },
    with: {
        "portcullis:filter/types.request": crate::host::handles::RequestHandle,
        "portcullis:filter/types.response": crate::host::handles::ResponseHandle,
        "portcullis:filter/rate-limit.bucket": crate::host::handles::BucketHandle,
    },
});
