//! Envoy with proxy-wasm filters on V8, if it is installed.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{PROXY_CORE, process};

/// A running Envoy; it ends with this value.
pub(crate) struct Envoy {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Envoy {
    /// Starts it with so many filters in front of a backend; none where it is not installed.
    pub(crate) async fn start(filters: usize, backend: SocketAddr) -> Option<Self> {
        let program = std::env::var_os("ENVOY").unwrap_or_else(|| "envoy".into());
        let folder = TempDir::new().expect("a temporary folder");
        let code = folder.path().join("filter.wasm");
        fs::write(&code, wat::parse_str(FILTER).expect("a module")).expect("a writable folder");
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
            free.local_addr().expect("an address").port()
        };
        let filter = FILTER_CONFIG.replace("CODE", &code.display().to_string());
        let config = CONFIG
            .replace("FILTERS", &filter.repeat(filters))
            .replace("LISTEN", &port.to_string())
            .replace("BACKEND", &backend.port().to_string());
        let path = folder.path().join("envoy.yaml");
        fs::write(&path, config).expect("a writable folder");
        let mut command = Command::new(program);
        command.arg("-c").arg(&path);
        command.args(["--concurrency", "1", "-l", "error", "--disable-hot-restart"]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        harness::until("envoy listens", async || {
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
        // Its threads begin one after the other.
        harness::pause(Duration::from_secs(1)).await;
        for id in process::family(child.id()) {
            process::pin(id, PROXY_CORE);
        }
        Some(Self {
            child,
            address,
            _folder: folder,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONFIG: &str = r#"
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: LISTEN}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route: {cluster: backend}
          http_filters:
FILTERS
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: backend
    type: STATIC
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: BACKEND}}}
"#;

const FILTER_CONFIG: &str = r#"
          - name: envoy.filters.http.wasm
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                vm_config:
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {filename: "CODE"}}
"#;

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
