//! The API server double by itself, to try the gateway and `kubectl` on it: prints its kubeconfig.
#![expect(clippy::print_stdout, reason = "it says where it is")]

use harness::api;

#[tokio::main]
async fn main() {
    let api = api().await;
    println!("export KUBECONFIG={}", api.kubeconfig().display());
    std::future::pending::<()>().await;
}
