//! Processes under measurement: where they run and what they use.

use std::{fs, process::Command, time::Duration};

/// Has this process run on one core.
pub(crate) fn pin_here(core: usize) {
    pin(std::process::id(), core);
}

/// Has this process, and what it starts, run on any of these cores.
pub(crate) fn spread_here(cores: &[usize]) {
    let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
    taskset(std::process::id(), &cores.join(","));
}

/// Has a process run on one core, with all its threads.
pub(crate) fn pin(process: u32, core: usize) {
    taskset(process, &core.to_string());
}

fn taskset(process: u32, cores: &str) {
    let mut command = Command::new("taskset");
    command.args(["-apc", cores, &process.to_string()]);
    let done = command.output().expect("taskset, of util-linux");
    assert!(done.status.success(), "taskset: {done:?}");
}

/// The CPU time of a process and of its children.
pub(crate) fn cpu(process: u32) -> Duration {
    let own = ticks(process);
    let children = children(process).into_iter().map(cpu).sum::<Duration>();
    own + children
}

/// A process and all below it.
pub(crate) fn family(process: u32) -> Vec<u32> {
    let below = children(process).into_iter().flat_map(family);
    std::iter::once(process).chain(below).collect()
}

fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// User and system time, from the scheduler's own clock: ticks would be too coarse.
fn ticks(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let times = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanos = text.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(nanos))
    });
    times.sum()
}
