//! The operator's say over plugins.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, builder::BoolishValueParser};
use ingress::Ceilings;
use wasm::{Fetching, Roots};

use super::{Reader, value::Zero};

/// Flags about plugins.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Plugins")]
pub(crate) struct PluginFlags {
    /// Folder of plugins: NAME.wasm is a plugin called NAME, for every namespace, without grants
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,
    /// The most CPU time that a plugin's hook may take
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) plugin_max_time: String,
    /// The most memory that a plugin may take
    #[arg(long, value_name = "SIZE", default_value = "64Mi")]
    pub(crate) plugin_max_memory: String,
    /// The grants that plugins may have at all [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) plugin_grants: Vec<String>,
    /// Namespaces whose plugins every namespace may use
    #[arg(long, value_name = "NS", value_delimiter = ',')]
    pub(crate) shared_plugin_namespaces: Vec<String>,
    /// Where compiled plugins are kept, or off [default: portcullis in the user's cache folder]
    #[arg(long, value_name = "DIR|off")]
    pub(crate) plugin_cache: Option<PathBuf>,
    /// CAs (PEM) whose registries and servers are believed too when code is fetched; read anew when it
    /// changes
    #[arg(long, value_name = "FILE")]
    pub(crate) fetch_ca: Option<PathBuf>,
    /// Fetch code from this machine's own addresses too on a cluster, without TLS: from a registry on
    /// each node, or beside the gateway in its pod
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) fetch_loopback: bool,
}

impl PluginFlags {
    /// The most that any plugin gets.
    pub(super) fn ceilings(&self, reader: &mut Reader) -> Ceilings {
        for grant in &self.plugin_grants {
            if !GRANTS.contains(&grant.as_str()) {
                let hint = format!("write of {}", GRANTS.join(", "));
                reader.mistake("--plugin-grants", grant, "is no grant", &hint);
            }
        }
        let memory = reader.size(
            "--plugin-max-memory",
            &self.plugin_max_memory,
            Zero::Refused,
        );
        if memory > MOST_MEMORY {
            let text = &self.plugin_max_memory;
            let hint = "write a size up to 1Gi";
            reader.mistake("--plugin-max-memory", text, "is too large", hint);
        }
        Ceilings {
            time: reader.time("--plugin-max-time", &self.plugin_max_time, Zero::Refused),
            memory,
            grants: (!self.plugin_grants.is_empty()).then(|| self.plugin_grants.clone()),
        }
    }

    /// Whether the CAs can be read.
    pub(super) fn check_ca(&self, reader: &mut Reader) {
        if let Some(path) = &self.fetch_ca {
            let read = fs::read(path).map_err(|error| error.to_string());
            let roots = read.and_then(|pem| Roots::besides(&pem).map_err(|e| e.to_string()));
            if let Err(error) = roots {
                let text = path.display().to_string();
                let wrong = format!("cannot be used: {error}");
                let hint = "write a file with certificates of CAs in PEM";
                reader.mistake("--fetch-ca", &text, &wrong, hint);
            }
        }
    }

    /// What the sandbox is built with.
    pub(crate) fn sandbox(&self, ceilings: &Ceilings) -> wasm::Settings {
        let usual = || Some(dirs::cache_dir()?.join("portcullis"));
        let cache = match &self.plugin_cache {
            Some(folder) if folder == Path::new("off") => None,
            Some(folder) => Some(folder.clone()),
            None => usual(),
        };
        wasm::Settings {
            max_memory: ceilings.memory,
            cache,
            fetching: Fetching {
                loopback: self.fetch_loopback,
                ca: self.fetch_ca.clone(),
            },
            ..wasm::Settings::default()
        }
    }
}

/// The names of the plugins in the operator's folder: those of its files, without `.wasm`.
pub(crate) fn names(folder: Option<&Path>) -> Vec<String> {
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| PathBuf::from(entry.file_name()))
        .filter(|name| name.extension() == Some(OsStr::new("wasm")))
        .filter_map(|name| Some(name.file_stem()?.to_str()?.to_owned()))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// The grants that a plugin can be given.
const GRANTS: [&str; 6] = [
    "backends",
    "http",
    "keyValue",
    "metrics",
    "random",
    "rateLimit",
];
/// The largest memory of an instance: more would leave the pool few of them.
const MOST_MEMORY: usize = 1 << 30;
