//! The command line: what a user may write, as text. [`Mistakes`] are found when it is read into
//! [`Arguments`], all at once.

mod arguments;
mod author;
mod limits;
mod listen;
mod plugins;
mod value;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::BoolishValueParser,
};

pub(crate) use arguments::{AccessTarget, Arguments, Origin, Redirect};
pub(crate) use author::{
    BenchFlags, BuildFlags, InspectFlags, NewFlags, PluginCommand, TermFlags, TestFlags,
};
pub(crate) use limits::LimitFlags;
pub(crate) use listen::ListenFlags;
pub(crate) use plugins::{PluginFlags, names as plugin_names};
pub(crate) use value::{Mistakes, Reader, Zero};

/// A programmable ingress gateway for Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway on a cluster, or on a folder of Kubernetes manifests; every change acts at once
    Run(Box<RunFlags>),
    /// Try it: three small backends, their Ingresses and the gateway, with lines to paste
    Demo(DemoFlags),
    /// Read manifests as the gateway would, and print every problem
    Check(CheckFlags),
    /// Say where a request goes, and why nowhere else
    Explain(ExplainFlags),
    /// Make filters: begin, build, test, look at and measure them
    #[command(subcommand)]
    Plugin(PluginCommand),
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Folder of Kubernetes YAML and JSON to serve and to watch, without a cluster; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: Vec<PathBuf>,
    /// How to reach the cluster to watch [default: the pod's ServiceAccount, else KUBECONFIG, else
    /// ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) listen: ListenFlags,
    #[command(flatten)]
    pub(crate) reading: ReadingFlags,
    #[command(flatten)]
    pub(crate) serving: ServingFlags,
    #[command(flatten)]
    pub(crate) status: StatusFlags,
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
}

/// Flags that change what manifests mean.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Reading of manifests")]
pub(crate) struct ReadingFlags {
    /// Classes of the Ingresses to serve
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "portcullis"
    )]
    pub(crate) ingress_class: Vec<String>,
    /// Controllers that IngressClass objects of these classes may name
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = CONTROLLER)]
    pub(crate) controller: Vec<String>,
    /// Namespaces to look at [default: all]
    #[arg(long, value_name = "NS", value_delimiter = ',')]
    pub(crate) watch_namespace: Vec<String>,
    /// Secret with the certificate for hosts that have none of their own [default: self-signed]
    #[arg(long, value_name = "NS/NAME")]
    pub(crate) default_tls_secret: Option<String>,
    /// Let Services of type ExternalName send requests to any DNS name
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) allow_external_name: bool,
    #[command(flatten)]
    pub(crate) plugins: PluginFlags,
}

/// Flags about how requests are served.
#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct ServingFlags {
    /// Threads that serve requests [default: cores, or the CPU limit rounded down, at least 1]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
    /// Proxies in front whose forwarded headers, and PROXY headers, are believed
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<String>,
    /// Expect a PROXY protocol header (v1 or v2) on both listeners
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) proxy_protocol: bool,
    /// Port in redirects to https [default: that of the HTTPS listener]
    #[arg(long, value_name = "PORT")]
    pub(crate) redirect_port: Option<String>,
    /// One line of JSON for each request: off, json (standard output), or a file
    #[arg(long, value_name = "off|json|FILE", default_value = "off")]
    pub(crate) access_log: String,
    /// How much to log: off, error, warn, info, debug, trace, or a filter as in RUST_LOG
    /// [default: RUST_LOG, else info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// How long to go on accepting connections after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(crate) drain_delay: String,
    /// How long requests may then take to finish
    #[arg(long, value_name = "TIME", default_value = "25s")]
    pub(crate) drain_timeout: String,
}

/// Flags about what is written into a cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Status of Ingresses in a cluster")]
pub(crate) struct StatusFlags {
    /// Service whose addresses are written into the status of Ingresses
    #[arg(long, value_name = "NS/NAME")]
    pub(crate) publish_service: Option<String>,
    /// Addresses that are written into the status of Ingresses, instead of a Service's
    #[arg(long, value_name = "IP|HOST", value_delimiter = ',')]
    pub(crate) publish_address: Vec<String>,
    /// Pods, as labels in a namespace: the addresses of the nodes that the ready ones run on are written
    /// into the status of Ingresses, if no others are given
    #[arg(long, value_name = "NS/LABEL=VALUE,…")]
    pub(crate) publish_nodes: Option<String>,
    /// Lease that elects which gateway writes [default: portcullis-CLASS in the gateway's namespace, and with
    /// --watch-namespace portcullis-CLASS-DIGEST, one for each set of namespaces]
    #[arg(long, value_name = "[NS/]NAME")]
    pub(crate) leader_lease: Option<String>,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoFlags {
    /// Where to serve HTTP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) http: String,
    /// Where to serve HTTPS
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub(crate) https: String,
    /// Where to serve the admin pages
    #[arg(long, value_name = "ADDR", default_value = ADMIN)]
    pub(crate) admin: String,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckFlags {
    /// Folders and files of Kubernetes YAML and JSON
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) reading: ReadingFlags,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainFlags {
    /// The request's URL, with http:// or https://
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// The request's method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    pub(crate) method: String,
    /// A field of the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Folder of manifests to decide by, instead of asking a running gateway
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: Vec<PathBuf>,
    /// Admin listener of the running gateway to ask
    #[arg(long, value_name = "ADDR", default_value = ADMIN)]
    pub(crate) admin: String,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) reading: ReadingFlags,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// JSON for programs.
    Json,
}

/// The controller that our IngressClass objects name.
const CONTROLLER: &str = "portcullis.dev/ingress-controller";
/// Where the admin listener is unless told.
const ADMIN: &str = "127.0.0.1:9000";

/// Reads the process's arguments and environment.
pub(crate) fn parse() -> Result<Command, clap::Error> {
    let matches = definition().try_get_matches()?;
    Cli::from_arg_matches(&matches).map(|cli| cli.command)
}

/// Flags of `run`, as if these had been written, without the environment.
pub(crate) fn run_flags(arguments: &[OsString]) -> Result<RunFlags, clap::Error> {
    let start = ["portcullis", "run"].map(OsString::from);
    match Cli::try_parse_from(start.iter().chain(arguments))?.command {
        Command::Run(flags) => Ok(*flags),
        Command::Check(_) | Command::Demo(_) | Command::Explain(_) | Command::Plugin(_) => {
            Err(Cli::command().error(
                clap::error::ErrorKind::InvalidSubcommand,
                "not the flags of run",
            ))
        }
    }
}

/// The commands with an environment variable for each flag of `run`, also where others take it.
fn definition() -> clap::Command {
    let plain = Cli::command();
    let run: Vec<clap::Id> = plain
        .find_subcommand("run")
        .map(|run| {
            run.get_arguments()
                .map(|arg| arg.get_id().clone())
                .collect()
        })
        .unwrap_or_default();
    plain.mut_subcommands(|command| {
        let of_run = command.get_name() == "run";
        command.mut_args(|arg| {
            // A gateway's own folder is not what `explain` is asked about.
            let named = of_run || (arg.get_id() != "manifests" && run.contains(arg.get_id()));
            match arg.get_long().filter(|_| named).map(variable) {
                Some(name) => arg.env(name).hide_env_values(true),
                None => arg,
            }
        })
    })
}

/// The environment variable for a flag. Clap keeps names for as long as the process lives.
fn variable(flag: &str) -> &'static str {
    format!("PORTCULLIS_{}", flag.to_uppercase().replace('-', "_")).leak()
}

/// The flags that change the reading, as they are by default.
#[cfg(test)]
pub(crate) fn reading_defaults() -> ReadingFlags {
    run_flags(&[]).unwrap().reading
}

#[cfg(test)]
mod tests;
