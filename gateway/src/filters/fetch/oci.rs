//! Pulling from OCI registries (OCI distribution specification 1.1; the CNCF's Wasm OCI artifact).
//!
//! Ours, as whoever writes a Plugin chooses the registry: each request, those for tokens and those that
//! redirects lead to as well, goes only where a plugin's code may come from, and no answer is larger
//! than it may be.

mod session;

use std::time::Duration;

use bytes::Bytes;
use route::Image;
use serde::Deserialize;

use super::{
    super::code::{Code, NoCode},
    store::Store,
    web::{PATIENCE, Web},
};
use session::Session;

/// Pulls the component of an image: its manifest and its one layer, each of which has the digest that
/// it should.
pub(super) async fn pull(
    web: &Web,
    store: &Store,
    namespace: &str,
    image: &Image,
) -> Result<Code, NoCode> {
    let mut session = Session::new(web, image);
    let manifest = match store.find(namespace, &image.digest) {
        Some(manifest) => manifest,
        None => {
            let path = format!("manifests/sha256:{}", image.digest);
            let manifest = session.get(&path, MANIFEST, MOST_MANIFEST, SOON).await?;
            let manifest = checked(&manifest, &image.digest, image, "the manifest")?;
            store.keep(namespace, &manifest);
            manifest
        }
    };
    let layer = layer(&manifest.bytes).map_err(|why| unfit(image, &why))?;
    let path = format!("blobs/sha256:{}", layer.digest);
    let blob = session.get(&path, "*/*", layer.size, PATIENCE).await?;
    let code = checked(&blob, &layer.digest, image, "the layer")?;
    store.keep(namespace, &code);
    Ok(code)
}

/// Where the component of an image is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// Its SHA-256 in hexadecimal.
    pub(super) digest: String,
    /// Its size in bytes.
    pub(super) size: usize,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Option<Vec<Descriptor>>,
    /// There if it is an index of images.
    manifests: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// The layer of a manifest that holds its component; an error says why there is none.
pub(super) fn layer(manifest: &[u8]) -> Result<Layer, String> {
    let Ok(Manifest { layers, manifests }) = serde_json::from_slice(manifest) else {
        return Err("its manifest is none of OCI".to_owned());
    };
    if manifests.is_some() {
        return Err("the digest is of an index of images, not of the component's own".to_owned());
    }
    let layers = layers.unwrap_or_default();
    let [layer] = layers.as_slice() else {
        return Err(format!("it has {} layers, not one", layers.len()));
    };
    let Descriptor {
        media_type,
        digest,
        size,
    } = layer;
    if !LAYERS.contains(&media_type.as_str()) {
        let shown: String = media_type
            .chars()
            .filter(|c| c.is_ascii_graphic())
            .take(100)
            .collect();
        return Err(format!(
            "its layer is of the type {shown}, not application/wasm"
        ));
    }
    let digest = digest.strip_prefix("sha256:").unwrap_or_default();
    if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("its layer has no SHA-256".to_owned());
    }
    let size = usize::try_from(*size).unwrap_or(usize::MAX);
    if size > wasm::MOST_CODE {
        return Err(format!(
            "its layer has {size} bytes; a component has at most 32 MiB"
        ));
    }
    Ok(Layer {
        digest: digest.to_ascii_lowercase(),
        size,
    })
}

/// What was pulled, if it has the digest that it should.
fn checked(bytes: &Bytes, digest: &str, image: &Image, what: &str) -> Result<Code, NoCode> {
    let code = Code::of(bytes.as_ref().into());
    if *code.digest == *digest {
        return Ok(code);
    }
    let message = format!(
        "{what} of {image} that {} gives has the SHA-256 {}, not {digest}",
        image.registry, code.digest
    );
    Err(NoCode::new(message, "mend the registry, or push it anew"))
}

fn unfit(image: &Image, why: &str) -> NoCode {
    let hint =
        "push the component as it is, as an artifact with one layer of the type application/wasm";
    NoCode::new(format!("{image} is no WebAssembly: {why}"), hint)
}

/// The types of a layer that is a component.
const LAYERS: [&str; 2] = [
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
];
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The largest manifest, in bytes.
const MOST_MANIFEST: usize = 1 << 20;
/// How long these may take.
const SOON: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(kind: &str, digest: &str, size: u64) -> String {
        let layer = serde_json::json!({"mediaType": kind, "digest": digest, "size": size});
        serde_json::json!({"schemaVersion": 2, "layers": [layer]}).to_string()
    }

    #[test]
    fn a_component_is_the_one_layer_of_its_type() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for kind in LAYERS {
            let found = layer(manifest(kind, &digest, 7).as_bytes()).unwrap();
            assert_eq!((found.digest, found.size), ("a".repeat(64), 7));
        }
        let zipped = "application/vnd.oci.image.layer.v1.tar+gzip";
        for (text, words) in [
            ("nonsense".to_owned(), "none of OCI"),
            (r#"{"manifests": []}"#.to_owned(), "index"),
            (r#"{"layers": []}"#.to_owned(), "0 layers"),
            ("{}".to_owned(), "0 layers"),
            (manifest(zipped, &digest, 7), "tar+gzip"),
            (manifest("application/wasm", "sha512:aa", 7), "no SHA-256"),
            (manifest("application/wasm", &digest, 33 << 20), "32 MiB"),
            (manifest("application/wasm", &digest, u64::MAX), "32 MiB"),
        ] {
            let why = layer(text.as_bytes()).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
