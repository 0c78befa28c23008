//! `portcullis`, a programmable ingress gateway for Kubernetes: its command line and wiring.
//!
//! The only room that reads the environment, prints and exits. What decides about requests is in
//! `proxy`, what reads Kubernetes objects in `ingress`; here they are put together.
#![forbid(unsafe_code)]

mod cli;
mod log;

mod filters;
mod low_ports;
mod publish;
mod run;
mod shipped;
mod source;
mod state;

mod descriptors;
mod memory;

mod access;
mod admin;
mod ask;
mod metrics;

mod check;
mod client;
mod demo;
mod explain;
mod plugin;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use cli::Command;

/// Idle connections cost least under jemalloc, and memory comes back when they leave.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Something did not work.
const FAILED: u8 = 1;
/// The arguments cannot be used.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(error) => {
            // Help and version come this way too, with 0. A closed output is the reader's wish.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(UNUSABLE).into();
        }
    };
    let outcome = match command {
        Command::Run(flags) => run::command(*flags),
        Command::Demo(flags) => demo::command(flags),
        Command::Check(flags) => check::command(flags),
        Command::Explain(flags) => explain::command(flags),
        Command::Plugin(command) => plugin::command(command),
    };
    outcome.unwrap_or_else(|error| {
        complain(&format!("error: {}", described(&error)));
        error
            .downcast_ref::<cli::Mistakes>()
            .map_or(FAILED, |_| UNUSABLE)
            .into()
    })
}

/// An error with its causes, but for those that its text already has.
fn described(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match text.as_str() {
            "" => cause,
            known if known.contains(&cause) => text,
            known => format!("{known}: {cause}"),
        }
    })
}

/// Writes a line to standard output. A reader that went away is no error of ours.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes a line to standard error, likewise.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("the disk is full");
        let error = Err::<(), _>(cause()).context("it failed").unwrap_err();
        assert_eq!(described(&error), "it failed: the disk is full");
        let error = Err::<(), _>(cause()).context("it failed: the disk is full; make room");
        assert_eq!(
            described(&error.unwrap_err()),
            "it failed: the disk is full; make room"
        );
    }
}
