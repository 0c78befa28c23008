//! `portcullis plugin build`: from Rust to a component.

use std::{ffi::OsStr, fs, path::Path, process::ExitCode};

use anyhow::Context;
use wit_component::ComponentEncoder;

use super::toolchain::{Build, Toolchain};
use crate::{cli::BuildFlags, complain, say};

/// Builds the package in a folder.
pub(super) fn command(flags: &BuildFlags) -> anyhow::Result<ExitCode> {
    let folder = &flags.folder;
    let manifest = folder.join("Cargo.toml");
    let name = package(&manifest)?;
    let toolchain = Toolchain::find(OsStr::new("cargo"), OsStr::new("rustc"))?;
    complain(&format!("building {name} with {toolchain}"));
    let modules = toolchain.build(&Build {
        manifest: &manifest,
        packages: &[&name],
        target_dir: &folder.join("target"),
        root: &folder.canonicalize()?,
        locked: false,
    })?;
    for module in modules {
        let core = fs::read(&module)?;
        let component = ComponentEncoder::default()
            .validate(true)
            .module(&core)
            .and_then(|mut encoder| encoder.encode())
            .with_context(|| {
                format!("{name} is no filter; write #[filter] on its `impl Filter`")
            })?;
        let out = match &flags.output {
            Some(file) => file.clone(),
            None => folder.join(format!("{name}.wasm")),
        };
        fs::write(&out, &component).with_context(|| format!("cannot write {}", out.display()))?;
        say(&format!("{} ({} bytes)", out.display(), component.len()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The name of the package that a manifest is about.
fn package(manifest: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(manifest).with_context(|| {
        format!(
            "cannot read {}; write the folder of a package, as `portcullis plugin new` makes it",
            manifest.display()
        )
    })?;
    let manifest: toml::Table = text.parse()?;
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"));
    let name = name.and_then(toml::Value::as_str);
    name.map(str::to_owned)
        .context("its Cargo.toml has no package with a name")
}
