//! HAProxy, with a map of hosts and paths as its Ingress controllers use it.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use super::{Ports, Site};

pub(super) fn command(site: &Site, folder: &Path, ports: Ports) -> Command {
    let mut map = String::new();
    for (host, path, backend) in &site.routes {
        let _ = writeln!(map, "{host}{path} s{backend}");
    }
    fs::write(folder.join("routes.map"), map).expect("a writable folder");
    let mut config = CONFIG
        .replace("FOLDER", &folder.display().to_string())
        .replace("HTTPS", &ports.https.to_string())
        .replace("HTTP", &ports.http.to_string());
    for (index, address) in site.backends.iter().enumerate() {
        let _ = writeln!(config, "backend s{index}\n    server one {address}");
    }
    let file = folder.join("haproxy.cfg");
    fs::write(&file, config).expect("a writable folder");
    let mut command = Command::new("haproxy");
    command.arg("-f").arg(file);
    command
}

const CONFIG: &str = r#"
global
    nbthread 1
    maxconn 9000
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 60s
    timeout tunnel 1h
    option forwardfor
    http-reuse always
frontend in
    bind 127.0.0.1:HTTP
    bind 127.0.0.1:HTTPS ssl crt FOLDER/tls.pem alpn h2,http/1.1 ssl-min-ver TLSv1.2
    unique-id-format %{+X}o%ci%cp%fi%fp%Ts%rt%pid
    unique-id-header X-Request-ID
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
    use_backend %[base,lower,map_beg(FOLDER/routes.map)]
"#;
