//! The files that a gateway watches.

use std::{net::SocketAddr, path::Path};

use serde_json::json;

use crate::{endpoint, slice};

/// Writes a file whole.
pub(super) fn write(path: &Path, content: &[u8]) {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a file name");
    let parent = path.parent().expect("a folder");
    std::fs::create_dir_all(parent).expect("a folder");
    let hidden = parent.join(format!(".{name}.new"));
    std::fs::write(&hidden, content).expect("a writable folder");
    std::fs::rename(&hidden, path).expect("a writable folder");
}

pub(super) fn slices_file(service: &str) -> String {
    format!("endpoints-{service}.yaml")
}

/// One slice an address, as all endpoints of a slice share its ports.
pub(super) fn slices(service: &str, addresses: &[SocketAddr]) -> String {
    let ready = json!({"ready": true});
    let slices = addresses.iter().enumerate().map(|(index, address)| {
        let endpoints = [endpoint(*address, &ready)];
        slice(
            service,
            &index.to_string(),
            ("http", address.port()),
            &endpoints,
        )
        .0
        .to_string()
    });
    slices.collect::<Vec<_>>().join("\n---\n")
}
