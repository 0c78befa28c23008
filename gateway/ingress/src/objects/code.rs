//! Where the code of a Plugin is, and the ConfigMaps and Secrets that have to do with it.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::ConfigMap as ApiConfigMap;
use route::{Image, Login};
use serde::Deserialize;
use serde_json::Value;

use crate::problem::{Source, Subject};

use super::{
    model::subject,
    plugin::{ApiKey, ApiSource, is_inside},
};

/// Where a Plugin says that its code is.
#[derive(Debug, PartialEq)]
pub(crate) enum Code {
    File(String),
    /// An image, and the Secret with the login for it.
    Oci(Image, Option<String>),
    Url(String),
    ConfigMap {
        name: String,
        key: String,
    },
    /// What it says cannot be meant.
    Wrong(Wrong),
}

/// What is wrong with a source, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) field: &'static str,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

impl Wrong {
    fn new(field: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self {
            field,
            message: message.into(),
            hint,
        }
    }
}

impl ApiSource {
    /// Where the code is; an error for the first thing that is wrong.
    pub(crate) fn code(&self) -> Result<Code, Wrong> {
        let Self {
            file,
            oci,
            url,
            config_map,
            pull_secret,
        } = self;
        let secret = pull_secret.clone();
        if secret.is_some() && oci.is_none() {
            let hint = "take it out, or write the source oci";
            let message = "only a source oci is pulled with a Secret";
            return Err(Wrong::new("spec.source.pullSecret", message, hint));
        }
        match (file, oci, url, config_map) {
            (Some(file), None, None, None) if is_inside(file) => Ok(Code::File(file.clone())),
            (Some(file), None, None, None) => {
                let message = format!("\"{}\" may lead out of its folder", short(file));
                Err(Wrong::new("spec.source.file", message, FILE))
            }
            (None, Some(oci), None, None) => Ok(Code::Oci(image(oci)?, secret)),
            (None, None, Some(url), None) => Ok(Code::Url(checked(url)?)),
            (None, None, None, Some(ApiKey { name, key }))
                if !name.is_empty() && !key.is_empty() =>
            {
                let (name, key) = (name.clone(), key.clone());
                Ok(Code::ConfigMap { name, key })
            }
            (None, None, None, Some(_)) => {
                let message = "the ConfigMap or its key is not named";
                let hint = "write configMap: {name: …, key: …}";
                Err(Wrong::new("spec.source.configMap", message, hint))
            }
            (None, None, None, None) => {
                Err(Wrong::new("spec.source", "the source says nothing", SOURCE))
            }
            _ => {
                let message = "the Plugin has several sources";
                Err(Wrong::new("spec.source", message, "keep one"))
            }
        }
    }
}

/// `REGISTRY/REPOSITORY[:TAG]@sha256:DIGEST`; the tag is for people.
fn image(text: &str) -> Result<Image, Wrong> {
    let wrong = |message| Err(Wrong::new("spec.source.oci", message, IMAGE));
    let shown = short(text);
    if text.is_empty() {
        return wrong("the reference is empty".to_owned());
    }
    if text.contains("://") {
        return wrong(format!("\"{shown}\" begins with a scheme"));
    }
    let Some((place, digest)) = text.split_once('@') else {
        return wrong(format!(
            "\"{shown}\" has no digest, so that other code could stand there tomorrow"
        ));
    };
    let digest = digest.strip_prefix("sha256:").unwrap_or_default();
    if !is_digest(digest) {
        return wrong(format!("\"{shown}\" does not end in a SHA-256"));
    }
    let Some((registry, repository)) = place.split_once('/') else {
        return wrong(format!("\"{shown}\" has no registry before its repository"));
    };
    let repository = match repository.rsplit_once(':') {
        Some((repository, _tag)) => repository,
        None => repository,
    };
    // Without a dot or a port it would be a part of a repository of one registry that is more equal.
    let named = registry == "localhost" || registry.contains(['.', ':']);
    let host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if !named || !registry.bytes().all(host) {
        return wrong(format!("\"{shown}\" does not begin with a registry"));
    }
    let part = |part: &str| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(known)
    };
    if repository.len() > 255 || !repository.split('/').all(part) {
        return wrong(format!("\"{shown}\" names no repository"));
    }
    Ok(Image {
        registry: registry.to_ascii_lowercase(),
        repository: repository.to_owned(),
        digest: digest.to_ascii_lowercase(),
        login: None,
    })
}

/// An address that code may be fetched from; the network decides later what may be reached.
fn checked(url: &str) -> Result<String, Wrong> {
    let wrong = |message, hint| Err(Wrong::new("spec.source.url", message, hint));
    let shown = short(url);
    let plain = url.strip_prefix("http://");
    let Some(rest) = url.strip_prefix("https://").or(plain) else {
        return wrong(format!("\"{shown}\" is no https URL"), "write https://…");
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        let message = "the URL has a login in it, which everybody who sees the Plugin can read";
        let hint = "write it without; private code belongs into a registry, with a pullSecret";
        return wrong(message.to_owned(), hint);
    }
    if authority.is_empty() || url.contains(|c: char| c.is_whitespace() || c == '#') {
        return wrong(format!("\"{shown}\" is no URL"), "write https://HOST/PATH");
    }
    if plain.is_some() && !is_loopback(authority) {
        let message = format!("\"{shown}\" is no https URL");
        return wrong(message, "write https://…; only loopback goes without");
    }
    Ok(url.to_owned())
}

/// Whether an authority is this machine's own, by its words.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        Some(_) | None => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let parsed: Result<std::net::IpAddr, _> = address.parse();
    host == "localhost" || parsed.is_ok_and(|address| address.is_loopback())
}

/// Whether a text is a SHA-256 in hexadecimal.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn short(text: &str) -> String {
    crate::manifest::shorten(text).into_owned()
}

/// A ConfigMap: its keys, and the code that some hold.
#[derive(Debug, PartialEq)]
pub(crate) struct ConfigMap {
    pub(crate) subject: Subject,
    /// Other content is of no use here, and is not kept.
    pub(crate) keys: BTreeMap<String, Option<Arc<[u8]>>>,
}

impl ConfigMap {
    pub(crate) fn build(object: ApiConfigMap, source: Option<Arc<Source>>) -> Self {
        let binary = object.binary_data.unwrap_or_default().into_iter();
        let binary = binary.map(|(key, bytes)| (key, is_code(&bytes.0).then(|| bytes.0.into())));
        let text = object.data.unwrap_or_default().into_iter();
        let text = text.map(|(key, text)| (key, decoded(&text)));
        Self {
            subject: subject("ConfigMap", &object.metadata, source),
            keys: text.chain(binary).collect(),
        }
    }
}

fn is_code(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm")
}

/// Code that is written as text: base64, perhaps on many lines.
fn decoded(text: &str) -> Option<Arc<[u8]>> {
    if !text.trim_start().starts_with(CODE_IN_BASE64) {
        return None;
    }
    let text: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(text).ok()?;
    is_code(&bytes).then(|| bytes.into())
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerLogin>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerLogin {
    username: String,
    password: String,
    auth: String,
}

/// The login for an image in a `.dockerconfigjson`: that of the longest place that the image is under.
/// An error says what is wrong with it.
pub(crate) fn login(config: &[u8], image: &Image) -> Result<Login, String> {
    let config: Value =
        serde_json::from_slice(config).map_err(|_| ".dockerconfigjson is no JSON".to_owned())?;
    let DockerConfig { auths } = DockerConfig::deserialize(config)
        .map_err(|_| ".dockerconfigjson is no map of auths".to_owned())?;
    let found = auths
        .iter()
        .filter_map(|(place, login)| Some((depth(image, place)?, place, login)))
        .max_by_key(|(depth, ..)| *depth);
    let Some((_, place, login)) = found else {
        return Err(format!("it has no login for {}", image.registry));
    };
    let DockerLogin {
        username,
        password,
        auth,
    } = login;
    if !username.is_empty() {
        return Ok(Login {
            user: username.clone(),
            password: password.clone(),
        });
    }
    let pair = STANDARD.decode(auth.trim()).ok();
    let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
    match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((user, password)) => Ok(Login {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        }),
        None => Err(format!("its login for {} has no user", short(place))),
    }
}

/// How deep below a registry a place is that an image is under, as configurations of Docker write these;
/// nothing if it is not.
fn depth(image: &Image, place: &str) -> Option<usize> {
    let place = match place.split_once("://") {
        Some((_, place)) => place,
        None => place,
    };
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let hub = |host: &str| {
        matches!(
            host,
            "docker.io" | "index.docker.io" | "registry-1.docker.io"
        )
    };
    let hubs = hub(host) && hub(&image.registry);
    if !hubs && !host.eq_ignore_ascii_case(&image.registry) {
        return None;
    }
    match path.trim_matches('/') {
        "" | "v1" | "v2" => Some(0),
        path => {
            let rest = image.repository.strip_prefix(path)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(path.len())
        }
    }
}

const FILE: &str =
    "write a file name, or a path below the folder, as in geo.wasm or filters/geo.wasm";
const IMAGE: &str = "write REGISTRY/REPOSITORY@sha256:DIGEST, with the digest that pushing printed";
pub(crate) const SOURCE: &str = "write source: {file: NAME.wasm}, or one of oci, url and configMap";
/// How the first bytes of all WebAssembly begin in base64.
const CODE_IN_BASE64: &str = "AGFzb";

#[cfg(test)]
mod tests;
