//! Builds filters in Rust for the target that the gateway runs, with whichever Rust can: one whose target is
//! installed, else one that has the sources of the standard library. Shared with `build.rs`, hence nothing but
//! `std`.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The target of filters. It has no system interface: what a filter can reach is what it imports.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A Rust that can build filters.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    cargo: OsString,
    rustc: OsString,
    std: Library,
}

/// Where the standard library of the target comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Installed,
    /// Built from its sources. Compiler and sources must be of one version, so they come from one place.
    Sources,
}

/// What to build.
pub(crate) struct Build<'b> {
    /// The `Cargo.toml` of the package or the workspace.
    pub(crate) manifest: &'b Path,
    /// The packages, each with one library of the kind `cdylib`.
    pub(crate) packages: &'b [&'b str],
    /// Where cargo puts what it builds.
    pub(crate) target_dir: &'b Path,
    /// A folder whose name is to stand in no filter: its files are named from there on.
    pub(crate) root: &'b Path,
    /// Whether `Cargo.lock` must be there and fit.
    pub(crate) locked: bool,
    /// Whether nothing may be fetched.
    pub(crate) offline: bool,
}

/// Why nothing was built.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// No Rust that can; these were looked at.
    NoToolchain(Vec<PathBuf>),
    /// The program did not start.
    Start(OsString, std::io::Error),
    /// Cargo failed, and said this.
    Failed(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToolchain(seen) => {
                write!(
                    f,
                    "no Rust here can build for {TARGET}; run: rustup target add {TARGET}"
                )?;
                write!(f, " (or scripts/setup, which knows another way on Debian)")?;
                for sysroot in seen {
                    write!(
                        f,
                        "; neither the target nor rust-src is in {}",
                        sysroot.display()
                    )?;
                }
                Ok(())
            }
            Self::Start(program, error) => write!(f, "cannot run {}: {error}", program.display()),
            Self::Failed(said) => write!(f, "cargo says: {said}"),
        }
    }
}

impl std::error::Error for BuildError {}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rustc = self.rustc.display();
        match self.std {
            Library::Installed => write!(f, "{rustc}, which has {TARGET}"),
            Library::Sources => {
                write!(
                    f,
                    "{rustc}, which builds std for {TARGET} from its sources first"
                )
            }
        }
    }
}

impl Toolchain {
    /// The first that can, of the one in use and the distribution's.
    pub(crate) fn find(cargo: &OsStr, rustc: &OsStr) -> Result<Self, BuildError> {
        let pairs = [
            (cargo, rustc),
            (OsStr::new("/usr/bin/cargo"), OsStr::new("/usr/bin/rustc")),
        ];
        let mut seen = Vec::new();
        for library in [Library::Installed, Library::Sources] {
            for (cargo, rustc) in pairs {
                let Some(sysroot) = sysroot(rustc) else {
                    continue;
                };
                if library.is_in(&sysroot) {
                    return Ok(Self {
                        cargo: cargo.to_owned(),
                        rustc: rustc.to_owned(),
                        std: library,
                    });
                }
                if !seen.contains(&sysroot) {
                    seen.push(sysroot);
                }
            }
        }
        Err(BuildError::NoToolchain(seen))
    }

    /// Builds packages. The core modules, in the order of the packages.
    pub(crate) fn build(&self, build: &Build<'_>) -> Result<Vec<PathBuf>, BuildError> {
        let mut cargo = Command::new(&self.cargo);
        clean(&mut cargo);
        cargo
            .env("RUSTC", &self.rustc)
            .env("CARGO_ENCODED_RUSTFLAGS", flags(build.root))
            .args(["build", "--release", "--target", TARGET])
            .arg("--manifest-path")
            .arg(build.manifest)
            .arg("--target-dir")
            .arg(build.target_dir);
        if build.locked {
            cargo.arg("--locked");
        }
        if build.offline {
            cargo.arg("--offline");
        }
        if self.std == Library::Sources {
            // The libraries that cargo's own process was started with are those of another Rust.
            cargo
                .env("RUSTC_BOOTSTRAP", "1")
                .env_remove("LD_LIBRARY_PATH")
                .arg("-Zbuild-std=std,panic_abort");
        }
        for package in build.packages {
            cargo.args(["--package", package]);
        }
        let done = cargo.stdin(Stdio::null()).output();
        let done = done.map_err(|error| BuildError::Start(self.cargo.clone(), error))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(BuildError::Failed(said.trim().to_owned()));
        }
        let folder = build.target_dir.join(TARGET).join("release");
        let module = |package: &&str| folder.join(format!("{}.wasm", package.replace('-', "_")));
        Ok(build.packages.iter().map(module).collect())
    }
}

impl Library {
    fn is_in(self, sysroot: &Path) -> bool {
        let rustlib = sysroot.join("lib/rustlib");
        match self {
            Self::Installed => {
                let built = std::fs::read_dir(rustlib.join(TARGET).join("lib"));
                let mut files = built.into_iter().flatten().flatten();
                files.any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
            }
            Self::Sources => rustlib.join("src/rust/library/std/Cargo.toml").is_file(),
        }
    }
}

/// Where a compiler has its libraries; none where it does not run.
fn sysroot(rustc: &OsStr) -> Option<PathBuf> {
    let mut command = Command::new(rustc);
    let asked = command.args(["--print", "sysroot"]).stdin(Stdio::null());
    let answer = asked
        .output()
        .ok()
        .filter(|answer| answer.status.success())?;
    let text = String::from_utf8(answer.stdout).ok()?;
    Some(PathBuf::from(text.trim_end()))
}

/// Takes out of the environment what a cargo around this one has put there, or what is meant for another target:
/// flags for this machine's processor, the wrapper of clippy. Where the registry is, and the proxy, stays.
fn clean(command: &mut Command) {
    let own = ["CARGO_HOME", "CARGO_MAKEFLAGS"];
    let kinds = [
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let kept = own.contains(&text) || kinds.iter().any(|kind| text.starts_with(kind));
        let foreign = ["CARGO_", "DEP_", "CLIPPY_"]
            .iter()
            .any(|kind| text.starts_with(kind));
        let known = [
            "CARGO",
            "DEBUG",
            "HOST",
            "NUM_JOBS",
            "OPT_LEVEL",
            "OUT_DIR",
            "PROFILE",
            "RUSTC",
            "RUSTC_LINKER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_WRAPPER",
            "RUSTDOC",
            "RUSTDOCFLAGS",
            "RUSTFLAGS",
            "TARGET",
        ];
        if known.contains(&text) || (foreign && !kept) {
            command.env_remove(&name);
        }
    }
}

/// A filter names files where it panics: they tell nothing of the machine that built it, and the same sources give
/// the same bytes everywhere.
fn flags(root: &Path) -> OsString {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut flags = OsString::from("--remap-path-prefix=");
    flags.push(root);
    flags.push("=.");
    if let Some(home) = home {
        flags.push("\u{1f}--remap-path-prefix=");
        flags.push(home.join("registry/src"));
        flags.push("=crates");
    }
    flags
}
