//! The program under test: where it is, and running it to its end.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use crate::within;

/// What the program did.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// The folder that cargo put these tests in, with those of all profiles.
pub fn target() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/it-HASH
    own.ancestors().nth(3).expect("a target folder").to_owned()
}

/// A program that `scripts/setup test` put beside the build: `helm`, `kubectl`.
pub fn tool(name: &str) -> Command {
    let program = target().join("tools").join(name);
    let there = program.exists();
    assert!(there, "no {}: run scripts/setup test", program.display());
    Command::new(program)
}

/// Runs a command to its end, however long it takes: compilers do. Blocks its thread.
pub fn run(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output();
    outcome(&output.unwrap_or_else(|error| panic!("{command:?}: {error}")))
}

/// Runs the program with these arguments to its end.
pub async fn portcullis(arguments: &[&str]) -> Outcome {
    let mut command = tokio::process::Command::from(command());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = within("the program to end", command.output())
        .await
        .expect("the program starts");
    outcome(&output)
}

fn outcome(output: &Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The program with a limit of open files, not yet started.
pub fn portcullis_command_with_files(limit: u32) -> Command {
    command_under(&format!("ulimit -n {limit} && exec"))
}

/// The program, started by a shell that has these words before it.
pub(crate) fn command_under(words: &str) -> Command {
    let program = command();
    let mut shell = Command::new("sh");
    for (name, value) in program.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell.args(["-c", &format!("{words} \"$0\" \"$@\"")]);
    shell.arg(program.get_program());
    shell
}

/// The program, not yet started: for what takes longer than tests wait.
pub fn portcullis_command() -> Command {
    command()
}

/// The program, not yet started.
pub(crate) fn command() -> Command {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let program = BINARY.get_or_init(find);
    let mut command = Command::new(program);
    // Compiled once for all tests, and for the next run of them.
    if let Some(folder) = program.parent() {
        command.env("PORTCULLIS_PLUGIN_CACHE", folder.join("plugin-cache"));
    }
    command
}

/// The program that `PORTCULLIS_BIN` names, else the one built as these tests were.
fn find() -> PathBuf {
    if let Some(path) = std::env::var_os("PORTCULLIS_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/it-HASH, or target/PROFILE/bench
    let mut folders = own.ancestors().skip(1);
    let profile = folders.find(|folder| !folder.ends_with("deps"));
    let profile = profile.expect("a folder of the profile");
    let target = profile.parent().expect("a target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "portcullis",
        "--bin",
        "portcullis",
        "--target-dir",
    ]);
    cargo
        .arg(target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => {}
        Some(name) => drop(cargo.args(["--profile", name])),
        None => panic!("no profile in {}", own.display()),
    }
    let output = cargo.output().expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo build failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    profile.join("portcullis")
}
