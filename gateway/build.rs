//! Builds the filters that ship into components, which `src/shipped.rs` embeds.

#[path = "src/plugin/toolchain.rs"]
mod toolchain;

use std::{
    error::Error,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use toolchain::{Build, Toolchain};
use wit_component::ComponentEncoder;

/// The packages of `plugins/` that ship.
const SHIPPED: [&str; 3] = ["rate-limit", "canary", "sticky-session"];

fn main() -> ExitCode {
    match components() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn components() -> Result<(), Box<dyn Error>> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = package
        .parent()
        .ok_or("the package has no folder around it")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    watch(root);

    let toolchain = Toolchain::find(&variable("CARGO")?, &variable("RUSTC")?)?;
    println!("the filters are built by {toolchain}");
    let modules = toolchain.build(&Build {
        manifest: &root.join("plugins/Cargo.toml"),
        packages: &SHIPPED,
        target_dir: &target_dir(&out, root),
        root,
        locked: true,
        offline: false,
    })?;
    for (name, module) in SHIPPED.iter().zip(modules) {
        let component = component(&module).map_err(|why| format!("{name}: {why}"))?;
        std::fs::write(out.join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}

/// A core module, with the metadata of its interface, as a component.
fn component(module: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let module = std::fs::read(module)?;
    let encoder = ComponentEncoder::default().validate(true);
    let component = encoder
        .module(&module)
        .and_then(|mut encoder| encoder.encode());
    component.map_err(|error| format!("{error:#}").into())
}

/// What the filters are made of. Not all of `plugins/`: a build in there may leave a target folder.
fn watch(root: &Path) {
    let shared = ["Cargo.toml", "Cargo.lock", "session"];
    for part in shared.iter().chain(&SHIPPED) {
        println!(
            "cargo::rerun-if-changed={}",
            root.join("plugins").join(part).display()
        );
    }
    for part in [
        "sdk",
        "wit",
        "gateway/build.rs",
        "gateway/src/plugin/toolchain.rs",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
    }
}

/// One folder for the builds of all profiles, in cargo's own, which is the outermost that has its tag.
fn target_dir(out: &Path, root: &Path) -> PathBuf {
    let tagged = out
        .ancestors()
        .filter(|folder| folder.join("CACHEDIR.TAG").is_file());
    let target = tagged
        .last()
        .map_or_else(|| root.join("target"), Path::to_path_buf);
    target.join("plugins")
}

fn variable(name: &str) -> Result<OsString, String> {
    std::env::var_os(name).ok_or_else(|| format!("cargo has not set {name}"))
}
