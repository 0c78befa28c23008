//! `portcullis plugin build`: from Rust, or from the core module of another language, to a component.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, bail};
use serde::Deserialize;
use wit_component::ComponentEncoder;

use super::toolchain::{Build, BuildError, Toolchain};
use crate::{
    cli::{BuildFlags, Mistakes},
    complain, say,
};

/// Builds a package, or makes a component of a module.
pub(super) fn command(flags: &BuildFlags) -> anyhow::Result<ExitCode> {
    let (module, out) = if flags.source.is_file() {
        let out = flags.output.clone().ok_or_else(|| {
            Mistakes::one("a module needs a place for its component; write --output FILE")
        })?;
        (flags.source.clone(), out)
    } else {
        let package = Package::find(&flags.source)?;
        let usual = || flags.source.join(format!("{}.wasm", package.name));
        let out = flags.output.clone().unwrap_or_else(usual);
        (package.build()?, out)
    };
    let core = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = encode(&core, &module)?;
    fs::write(&out, &component).with_context(|| format!("cannot write {}", out.display()))?;
    say(&format!("{} ({} bytes)", out.display(), component.len()));
    Ok(ExitCode::SUCCESS)
}

/// A core module as a component, if it is one of a filter.
fn encode(core: &[u8], module: &Path) -> anyhow::Result<Vec<u8>> {
    let encoder = ComponentEncoder::default().validate(true);
    let component = encoder
        .module(core)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| {
            format!(
                "{} is no module of a filter: in Rust, write #[filter] on its `impl Filter`; \
                 in other languages, link what wit-bindgen generated",
                module.display()
            )
        })?;
    // What has no hook and no name is a component too, but nothing that could be loaded.
    let plugin = b"portcullis:filter/plugin@";
    if !component.windows(plugin.len()).any(|part| part == plugin) {
        bail!(
            "{} exports no filter; in Rust, write #[filter] on its `impl Filter`",
            module.display()
        );
    }
    Ok(component)
}

/// A package as cargo sees it.
struct Package {
    name: String,
    manifest: PathBuf,
    workspace: PathBuf,
    target: PathBuf,
}

/// What cargo says of a workspace.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Described>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Package {
    /// The one in a folder.
    fn find(folder: &Path) -> anyhow::Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.canonicalize().with_context(|| {
            Mistakes::one(format!(
                "cannot read {}; write the folder of a package, as `portcullis plugin new` makes it",
                manifest.display()
            ))
        })?;
        let metadata = metadata(&manifest)?;
        let mut packages = metadata.packages.into_iter();
        let package = packages
            .find(|package| package.manifest_path == manifest)
            .ok_or_else(|| {
                Mistakes::one(format!(
                    "{} is a workspace, not a package; write the folder of one of its packages",
                    folder.display()
                ))
            })?;
        let mut targets = package.targets.iter();
        if !targets.any(|target| target.crate_types.iter().any(|kind| kind == "cdylib")) {
            bail!(
                "{} is no filter: nothing in it is built for others to load; \
                 write crate-type = [\"cdylib\"] under [lib] in its Cargo.toml",
                package.name
            );
        }
        Ok(Self {
            name: package.name,
            manifest,
            workspace: metadata.workspace_root,
            target: metadata.target_directory,
        })
    }

    /// Its core module.
    fn build(&self) -> anyhow::Result<PathBuf> {
        let toolchain = Toolchain::find(OsStr::new("cargo"), OsStr::new("rustc"))?;
        complain(&format!("building {} with {toolchain}", self.name));
        let packages = [self.name.as_str()];
        let mut build = Build {
            manifest: &self.manifest,
            packages: &packages,
            target_dir: &self.target,
            root: self.root(),
            locked: false,
            offline: true,
        };
        // The network is for what is not here yet.
        let modules = match toolchain.build(&build) {
            Err(BuildError::Failed(said)) if said.contains("--offline") => {
                build.offline = false;
                toolchain.build(&build)
            }
            done => done,
        };
        let modules = modules.with_context(|| format!("{} was not built", self.name))?;
        modules.into_iter().next().context("cargo built nothing")
    }

    /// The folder from which files are named in the component: that of the repository, as the package may
    /// have others beside it, else that of the workspace.
    fn root(&self) -> &Path {
        let mut around = self.workspace.ancestors();
        around
            .find(|folder| folder.join(".git").exists())
            .unwrap_or(&self.workspace)
    }
}

/// Asks cargo about the workspace of a package: where it is, and where what is built goes, with all of
/// cargo's configuration.
fn metadata(manifest: &Path) -> anyhow::Result<Metadata> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .arg("--manifest-path")
        .arg(manifest);
    if let Some(folder) = manifest.parent() {
        cargo.current_dir(folder);
    }
    let told = cargo.stdin(Stdio::null()).output();
    let told = told.context("cannot run cargo; install Rust from https://rustup.rs")?;
    if !told.status.success() {
        let said = String::from_utf8_lossy(&told.stderr);
        let said = said.trim().trim_start_matches("error: ");
        return Err(Mistakes::one(format!("cargo cannot read the package: {said}")).into());
    }
    serde_json::from_slice(&told.stdout).context("cargo describes the package in a way of its own")
}
