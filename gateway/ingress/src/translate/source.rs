//! Where the code of a Plugin object is found.

use std::path::{Path, PathBuf};

use route::{Image, Login, Source};

use crate::{
    objects::{
        Objects,
        code::{self, Code},
        plugin::Plugin as Object,
    },
    problem::{Problem, Severity},
};

use super::{Mode, Options};

/// Where the code of a Plugin is found.
pub(super) fn find(
    object: &Object,
    objects: &Objects,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Source {
    let mut report = |severity, field: &str, message: String, hint: &str| {
        problems.push(object.subject.problem(severity, field, message, hint));
    };
    match &object.code {
        Code::File(name) => {
            let folders = folders(object, options);
            if folders.is_empty() {
                let message = "there is no folder of plugin files; routes that use it are closed";
                let hint = "start the gateway with --plugins DIR";
                let field = "spec.source.file";
                report(Severity::Error, field, message.to_owned(), hint);
            }
            let name = name.clone();
            Source::File { name, folders }
        }
        Code::Oci(image, secret) => {
            let mut image = image.clone();
            if let Some(name) = secret {
                match login(object, objects, name, &image) {
                    Ok(login) => image.login = Some(login),
                    Err(NoLogin { severity, message }) => {
                        let severity = severity.unwrap_or_else(|| options.missing(Severity::Error));
                        let hint = "write a Secret of type kubernetes.io/dockerconfigjson, as kubectl \
                                    create secret docker-registry does";
                        report(severity, "spec.source.pullSecret", message, hint);
                    }
                }
            }
            remote("spec.source.oci", Source::Oci(image), options, report)
        }
        Code::Url(url) if object.sha256.is_none() => {
            let message = format!("the code at {url} has no sha256 to be checked by");
            missing(message, "write spec.sha256, as sha256sum prints it")
        }
        Code::Url(url) => remote("spec.source.url", Source::Url(url.clone()), options, report),
        Code::ConfigMap { name, key } => config_map(object, objects, (name, key), options, report),
        Code::Wrong(wrong) => missing(wrong.message.clone(), wrong.hint),
    }
}

fn missing(message: String, hint: &str) -> Source {
    let hint = hint.to_owned();
    Source::Missing { message, hint }
}

/// What is fetched where the gateway runs, and only there.
fn remote(
    field: &str,
    source: Source,
    options: &Options,
    mut report: impl FnMut(Severity, &str, String, &str),
) -> Source {
    match options.mode {
        Mode::Manifests | Mode::Cluster => source,
        Mode::Check => {
            let message =
                "the code is not fetched here, so that configurations of it are not tried";
            let hint = "run the gateway to try them";
            report(Severity::Note, field, message.to_owned(), hint);
            Source::Unseen
        }
    }
}

fn config_map(
    object: &Object,
    objects: &Objects,
    (name, key): (&str, &str),
    options: &Options,
    mut report: impl FnMut(Severity, &str, String, &str),
) -> Source {
    let namespace = &object.subject.namespace;
    let Some(map) = objects.config_maps.find(namespace, name) else {
        let message = format!("there is no ConfigMap {namespace}/{name}");
        let hint = "create it, or name another one of the same namespace";
        return match options.mode {
            Mode::Check => {
                report(Severity::Note, "spec.source.configMap", message, hint);
                Source::Unseen
            }
            Mode::Manifests | Mode::Cluster => missing(message, hint),
        };
    };
    match map.keys.get(key) {
        Some(Some(code)) => Source::Inline(code.clone()),
        Some(None) => missing(
            format!("{key} of the ConfigMap {namespace}/{name} holds no WebAssembly"),
            "write the component in base64 under binaryData, as kubectl create configmap --from-file does",
        ),
        None => {
            let keys: Vec<&str> = map.keys.keys().map(String::as_str).take(MANY).collect();
            let hint = match keys.as_slice() {
                [] => "add the key".to_owned(),
                keys => format!("add the key, or write one of {}", keys.join(", ")),
            };
            missing(
                format!("the ConfigMap {namespace}/{name} has no key {key}"),
                &hint,
            )
        }
    }
}

/// Why there is no login: a Secret that is missing may be somewhere else.
struct NoLogin {
    severity: Option<Severity>,
    message: String,
}

/// The login that a Secret of the Plugin's own namespace has for an image.
fn login(object: &Object, objects: &Objects, name: &str, image: &Image) -> Result<Login, NoLogin> {
    let namespace = &object.subject.namespace;
    let secret = objects.secret(namespace, name);
    let Some((secret, _)) = secret.and_then(|secret| secret.current.as_ref()) else {
        return Err(NoLogin {
            severity: None,
            message: format!("there is no Secret {namespace}/{name}; it is pulled without a login"),
        });
    };
    let found = match &secret.logins {
        Some(logins) => code::login(logins, image),
        None => Err("it has no .dockerconfigjson".to_owned()),
    };
    found.map_err(|why| NoLogin {
        severity: Some(Severity::Error),
        message: format!(
            "the Secret {namespace}/{name} is of no use: {why}; it is pulled without a login"
        ),
    })
}

/// Where the file of a Plugin is looked up: beside its manifest, then in the operator's folder.
fn folders(object: &Object, options: &Options) -> Vec<PathBuf> {
    let manifest = object
        .subject
        .source
        .as_ref()
        .filter(|_| match options.mode {
            Mode::Manifests | Mode::Check => true,
            Mode::Cluster => false,
        });
    let beside = manifest.map(|source| {
        let folder = Path::new(source.file.as_ref()).parent();
        match folder.filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => folder.to_owned(),
            None => PathBuf::from("."),
        }
    });
    beside
        .into_iter()
        .chain(options.plugin_folder.clone())
        .collect()
}

/// How many keys a hint has.
const MANY: usize = 12;
