//! Flags of `plugin` and its commands, for authors of filters.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

/// What to do with a plugin.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Begin a filter in Rust, in a folder of its name
    New(NewFlags),
    /// Build it into a component
    ///
    /// A package in Rust is built with whichever Rust here can; cargo's configuration, CARGO_TARGET_DIR and
    /// the workspace around the package hold, and the network is used only for what is not here yet. Of
    /// another language give the core module, with wit-bindgen's description in it.
    Build(BuildFlags),
    /// Run recorded cases through the host and the limits of production
    ///
    /// 0: all passed; 1: one failed; 2: there was nothing to run. What a filter logs is printed where its
    /// case fails.
    #[command(after_long_help = CASES)]
    Test(TestFlags),
    /// Show its hooks, the grants that it needs, its schema and its size
    Inspect(InspectFlags),
    /// Measure what a call of its request hook costs
    ///
    /// 0: measured; 1: it failed, or took longer than --max-ns; 2: there was nothing to run.
    Bench(BenchFlags),
}

/// Flags of `plugin new`.
#[derive(Debug, Args)]
pub(crate) struct NewFlags {
    /// Folder to make; its last part is the filter's name
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Folder of the SDK [default: that of the sources around the current folder, else the published one]
    #[arg(long, value_name = "DIR")]
    pub(crate) sdk: Option<PathBuf>,
}

/// Flags of `plugin build`.
#[derive(Debug, Args)]
pub(crate) struct BuildFlags {
    /// Folder of a package in Rust, or a core module that another language was compiled to
    #[arg(value_name = "FOLDER|MODULE", default_value = ".")]
    pub(crate) source: PathBuf,
    /// File to write [default: NAME.wasm in the folder of the package]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Flags of `plugin test`.
#[derive(Debug, Args)]
pub(crate) struct TestFlags {
    /// The component
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Cases, a JSON object a line
    #[arg(long, value_name = "FILE", default_value = "cases.jsonl")]
    pub(crate) cases: PathBuf,
    #[command(flatten)]
    pub(crate) terms: TermFlags,
}

/// What a filter is configured with, and what it may take.
#[derive(Debug, Args)]
pub(crate) struct TermFlags {
    /// Its configuration; for `test`, that of the cases without one [default: {}]
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Option<String>,
    /// CPU time of a hook, as `limits.time` of the Plugin
    #[arg(long, value_name = "TIME", default_value = "1ms")]
    pub(crate) time: String,
    /// Memory of an instance, as `limits.memory` of the Plugin
    #[arg(long, value_name = "SIZE", default_value = "32Mi")]
    pub(crate) memory: String,
}

/// Flags of `plugin inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectFlags {
    /// The component
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Flags of `plugin bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchFlags {
    /// The component
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) terms: TermFlags,
    /// The request, as in a case [default: one such as browsers send]
    #[arg(long, value_name = "JSON")]
    pub(crate) request: Option<String>,
    /// Fail where a hot call takes longer
    #[arg(long, value_name = "N")]
    pub(crate) max_ns: Option<u64>,
}

/// The form of cases, below the help of `test`.
const CASES: &str = r#"A case is a JSON object on one line; lines that begin with // are left out. Only request and expect must be there:

  {"name": "what it shows", "config": {"the": "filter's"}, "times": 1,
   "request": {"method": "GET", "path": "/a?b=c", "headers": {"x-a": "1", "x-b": ["2", "3"]},
               "clientIp": "192.0.2.1", "tls": false, "body": "text"},
   "response": {"status": 200, "headers": {}, "body": ["a piece, ", "another"]},
   "expect": {"verdict": "next", "reason": "plugin-trap", "request": {"path": "/", "headers": {"x-a": null}, "body": ""},
              "backend": "svc:80", "status": 200, "headers": {"x-c": "1"}, "body": "text"}}

verdict: next, respond (a hook of requests answered), abort (a body was broken off) or fail; reason then is part of why.
status, headers and body are the answer's: the filter's own, or the response after its hooks."#;
