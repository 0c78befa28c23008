//! Envoy with proxy-wasm filters on V8.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use super::{Ports, Site, envoy};

/// How to start it with one filter.
pub(super) fn one(site: &Site, folder: &Path, ports: Ports) -> Command {
    command(1, site, folder, ports)
}

/// How to start it with three filters.
pub(super) fn three(site: &Site, folder: &Path, ports: Ports) -> Command {
    command(3, site, folder, ports)
}

fn command(filters: usize, site: &Site, folder: &Path, ports: Ports) -> Command {
    let code = folder.join("filter.wasm");
    fs::write(&code, wat::parse_str(FILTER).expect("a module")).expect("a writable folder");
    let filter = json!({
        "name": "envoy.filters.http.wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {"vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": code}},
            }},
        },
    });
    envoy::with_filters(&vec![filter; filters], site, folder, ports)
}

/// Sets one field of the request and one of the response, by the least that proxy-wasm needs.
const FILTER: &str = r#"(module
  (import "env" "proxy_replace_header_map_value"
    (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "x-first")
  (data (i32.const 16) "one")
  (data (i32.const 32) "x-second")
  (data (i32.const 48) "two")
  (func $allocate (param i32) (result i32) (i32.const 4096))
  (export "proxy_on_memory_allocate" (func $allocate))
  (export "malloc" (func $allocate))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $set (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 16) (i32.const 3)))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $set (i32.const 2) (i32.const 32) (i32.const 8) (i32.const 48) (i32.const 3)))
    (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_delete") (param i32)))"#;
