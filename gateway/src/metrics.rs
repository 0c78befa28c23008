//! The program's own metrics, beside those of the data plane.

use std::{fmt::Write, fs, sync::atomic::Ordering};

use ingress::Severity;

mod plugins;

use crate::{
    memory::resident,
    state::{Phase, State},
};

/// Prometheus text about the control side and the process.
pub(crate) fn text(state: &State, dropped: Option<u64>) -> String {
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let of = |severity| {
        state
            .problems()
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    };
    let problems: String = [
        ("error", Severity::Error),
        ("note", Severity::Note),
        ("warning", Severity::Warning),
    ]
    .into_iter()
    .fold(String::new(), |text, (name, severity)| {
        text + &format!("{PROBLEMS}{{severity=\"{name}\"}} {}\n", of(severity))
    });
    family(
        &mut out,
        BUILD,
        "gauge",
        "Always 1, with the program's version.",
        &format!("{BUILD}{{version=\"{version}\"}} 1\n"),
    );
    single(
        &mut out,
        READY,
        "gauge",
        "Whether requests are served.",
        u64::from(state.phase() == Phase::Serving),
    );
    family(
        &mut out,
        PROBLEMS,
        "gauge",
        "Problems of the current configuration.",
        &problems,
    );
    single(
        &mut out,
        READS,
        "counter",
        "How often the configuration was read.",
        state.reads.load(Ordering::Relaxed),
    );
    let watches: String = state.watches().iter().fold(String::new(), |text, watch| {
        let (resource, up) = (&watch.resource, u8::from(watch.up));
        text + &format!("{WATCHES}{{resource=\"{resource}\"}} {up}\n")
    });
    if !watches.is_empty() {
        family(
            &mut out,
            WATCHES,
            "gauge",
            "Whether a kind of the cluster is watched.",
            &watches,
        );
    }
    if let Some(dropped) = dropped {
        single(
            &mut out,
            DROPPED,
            "counter",
            "Access log lines dropped as their output was too slow.",
            dropped,
        );
    }
    plugins::text(&mut out, &state.plugins());
    process(&mut out, state);
    out
}

/// What the process takes of the machine.
fn process(out: &mut String, state: &State) {
    if let Some(bytes) = state.memory.limit() {
        let help = "Memory that the process may take.";
        single(out, LIMIT, "gauge", help, bytes);
    }
    if let Some(bytes) = resident() {
        single(out, RESIDENT, "gauge", "Resident memory.", bytes);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        let files = u64::try_from(files.count()).unwrap_or(0);
        single(out, FILES, "gauge", "Open files and sockets.", files);
    }
}

const BUILD: &str = "portcullis_build_info";
const READY: &str = "portcullis_ready";
const PROBLEMS: &str = "portcullis_problems";
const READS: &str = "portcullis_config_reads_total";
const WATCHES: &str = "portcullis_cluster_watch_up";
const DROPPED: &str = "portcullis_access_log_dropped_total";
const LIMIT: &str = "portcullis_memory_limit_bytes";
const RESIDENT: &str = "process_resident_memory_bytes";
const FILES: &str = "process_open_fds";

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    family(out, name, kind, help, &format!("{name} {value}\n"));
}

fn family(out: &mut String, name: &str, kind: &str, help: &str, samples: &str) {
    // Writing to a string does not fail.
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_a_type() {
        let text = text(&State::default(), Some(3));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
            assert!(
                line.rsplit_once(' ').unwrap().1.parse::<u64>().is_ok(),
                "{line}"
            );
        }
        assert!(
            text.contains("portcullis_problems{severity=\"error\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("portcullis_access_log_dropped_total 3\n"),
            "{text}"
        );
    }
}
