//! nginx, with the fields, timeouts and buffers that its Ingress controller set.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use super::{Ports, Site};

pub(super) fn command(site: &Site, folder: &Path, ports: Ports) -> Command {
    let mut upstreams = String::new();
    for (index, address) in site.backends.iter().enumerate() {
        let _ = writeln!(
            upstreams,
            "upstream s{index} {{ server {address}; keepalive 320; keepalive_requests 1000000000; }}"
        );
    }
    let listen = format!(
        "listen 127.0.0.1:{}; listen 127.0.0.1:{} ssl http2;",
        ports.http, ports.https
    );
    let mut servers = String::new();
    let mut routes = site.routes.iter().peekable();
    while let Some((host, path, backend)) = routes.next() {
        let _ = write!(
            servers,
            "server {{ server_name {host}; {listen} location {path} {{ proxy_pass http://s{backend}; }} "
        );
        while let Some((_, path, backend)) = routes.next_if(|route| route.0 == *host) {
            let _ = write!(
                servers,
                "location {path} {{ proxy_pass http://s{backend}; }} "
            );
        }
        servers.push_str("}\n");
    }
    let config = CONFIG
        .replace("FOLDER", &folder.display().to_string())
        .replace("UPSTREAMS", &upstreams)
        .replace("SERVERS", &servers);
    let file = folder.join("nginx.conf");
    fs::write(&file, config).expect("a writable folder");
    let mut command = Command::new("nginx");
    command.arg("-e").arg("/dev/null").arg("-c").arg(file);
    command
}

const CONFIG: &str = r#"
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid FOLDER/pid;
error_log /dev/null;
events { worker_connections 20000; multi_accept on; }
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    server_names_hash_max_size 65536;
    server_names_hash_bucket_size 128;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    ssl_certificate FOLDER/tls.pem;
    ssl_certificate_key FOLDER/tls.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_set_header Host $host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Forwarded-Proto $scheme;
    UPSTREAMS
    SERVERS
}
"#;
