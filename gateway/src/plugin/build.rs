//! `portcullis plugin build`: from Rust to a component.

use std::{fs, process::ExitCode};

use anyhow::Context;
use wit_component::ComponentEncoder;

use super::toolchain;
use crate::{cli::BuildFlags, say};

/// Builds the package in a folder.
pub(super) fn command(flags: &BuildFlags) -> anyhow::Result<ExitCode> {
    let folder = &flags.folder;
    let modules = toolchain::build(folder, &[], None, &|line| crate::complain(line))
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    for module in modules {
        let name = module.file_stem().and_then(|name| name.to_str());
        let name = name.context("a package has a name")?.replace('_', "-");
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
        fs::write(&out, &component)
            .with_context(|| format!("cannot write {}", out.display()))?;
        say(&format!("{} ({} bytes)", out.display(), component.len()));
    }
    Ok(ExitCode::SUCCESS)
}
