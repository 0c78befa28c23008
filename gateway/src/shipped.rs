//! The filters that ship, as components: `build.rs` makes them of `plugins/`.

/// Each by its name.
pub(crate) const SHIPPED: [(&str, &[u8]); 3] = [
    (
        "rate-limit",
        include_bytes!(concat!(env!("OUT_DIR"), "/rate-limit.wasm")),
    ),
    (
        "canary",
        include_bytes!(concat!(env!("OUT_DIR"), "/canary.wasm")),
    ),
    (
        "sticky-session",
        include_bytes!(concat!(env!("OUT_DIR"), "/sticky-session.wasm")),
    ),
];
