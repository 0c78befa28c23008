//! An OCI registry as tests need it: what was pushed, tokens for who has the login, and faults.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use harness::{Pair, Payload, Reply, Seen, Upstream, UpstreamBuilder, upstream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A running registry.
pub(super) struct Registry {
    pub(super) up: Upstream,
    /// `HOST:PORT`, as it is written in the names of images.
    pub(super) place: String,
    content: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

/// The type of layers in Wasm artifacts.
pub(super) const WASM: &str = "application/wasm";

/// A registry for everyone.
pub(super) async fn registry() -> Registry {
    start(None, |_| None).await
}

/// A registry for who has this login, `user:password`; `answer` may answer before it.
pub(super) async fn start(
    login: Option<&'static str>,
    answer: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
) -> Registry {
    start_as(upstream(), "http", login, answer).await
}

/// A private registry with this certificate, for `host`, which is 127.0.0.2.
pub(super) async fn start_tls(pair: &Pair, host: &str, login: &'static str) -> Registry {
    let address = SocketAddr::from(([127, 0, 0, 2], 0));
    let server = upstream().at(address).tls_as(pair);
    let registry = start_as(server, "https", Some(login), |_| None).await;
    let place = format!("{host}:{}", registry.up.address().port());
    Registry { place, ..registry }
}

/// The same of any server that speaks this scheme.
pub(super) async fn start_as(
    server: UpstreamBuilder,
    scheme: &'static str,
    login: Option<&'static str>,
    answer: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
) -> Registry {
    let content = Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default();
    let shelf = content.clone();
    let up = server
        .answer(move |seen| {
            if let Some(reply) = answer(seen) {
                return reply;
            }
            if let Some(refusal) = login.and_then(|login| refusal((scheme, login), seen)) {
                return refusal;
            }
            match shelf.lock().expect("no panic").get(&seen.target) {
                Some(bytes) => Reply::of(200, Payload::Sized(bytes.clone())),
                None => Reply::of(404, Payload::Sized(b"{}".to_vec())),
            }
        })
        .start()
        .await;
    let place = up.address().to_string();
    Registry { up, place, content }
}

/// What somebody without a token is told, and a token for who has the login.
fn refusal((scheme, login): (&str, &str), seen: &Seen) -> Option<Reply> {
    let said = seen.header("authorization");
    if let Some(query) = seen.target.strip_prefix("/token?") {
        assert_eq!(query, "service=double&scope=repository%3Ateam%2Fgeo%3Apull");
        let basic = format!("Basic {}", STANDARD.encode(login));
        return Some(match said == Some(&basic) {
            true => Reply::text(r#"{"token":"t0ken"}"#),
            false => Reply::of(401, Payload::Nothing),
        });
    }
    let host = seen.header("host").expect("a host");
    let challenge = format!(r#"Bearer realm="{scheme}://{host}/token",service="double",scope="x""#);
    let refused = Reply::of(401, Payload::Sized(Vec::new()));
    (said != Some("Bearer t0ken")).then(|| refused.header("WWW-Authenticate", &challenge))
}

impl Registry {
    /// Pushes a component; what it is called.
    pub(super) fn push(&self, code: &[u8]) -> String {
        let layer = json!({"mediaType": WASM, "digest": digest(code), "size": code.len()});
        self.put(&layer_path(code), code);
        self.push_layer(&layer)
    }

    /// Pushes a manifest with this layer; what it is called.
    pub(super) fn push_layer(&self, layer: &Value) -> String {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2},
            "layers": [layer],
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = digest(&manifest);
        self.put(&format!("/v2/team/geo/manifests/{digest}"), &manifest);
        format!("{}/team/geo@{digest}", self.place)
    }

    /// Puts anything anywhere.
    pub(super) fn put(&self, path: &str, content: &[u8]) {
        let mut all = self.content.lock().expect("no panic");
        all.insert(path.to_owned(), content.to_vec());
    }
}

/// Where the layer of this code is.
pub(super) fn layer_path(code: &[u8]) -> String {
    format!("/v2/team/geo/blobs/{}", digest(code))
}

/// The digest as registries write it.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

/// The SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
