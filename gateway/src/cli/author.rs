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
    Build(BuildFlags),
    /// Run recorded cases through the host and the limits of production
    Test(TestFlags),
    /// Show its hooks, the grants that it needs, its schema and its size
    Inspect(InspectFlags),
    /// Measure what a call costs
    Bench(BenchFlags),
}

/// Flags of `plugin new`.
#[derive(Debug, Args)]
pub(crate) struct NewFlags {
    /// Folder to make; its last part is the filter's name
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Folder of the SDK, instead of the published one
    #[arg(long, value_name = "DIR")]
    pub(crate) sdk: Option<PathBuf>,
}

/// Flags of `plugin build`.
#[derive(Debug, Args)]
pub(crate) struct BuildFlags {
    /// Folder of the package
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// File to write [default: NAME.wasm in the folder]
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
    /// Its configuration
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Option<String>,
    /// The request, as in a case [default: one such as browsers send]
    #[arg(long, value_name = "JSON")]
    pub(crate) request: Option<String>,
    /// Fail where a hot call takes longer
    #[arg(long, value_name = "N")]
    pub(crate) max_ns: Option<u64>,
}
