//! Where access log lines go: a thread of its own writes them, so that no request waits for a disk
//! or a pipe. What does not fit its queue is dropped and counted.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use proxy::AccessLog;

use crate::cli::AccessTarget;

/// The writing side of the access log.
pub(crate) struct AccessWriter {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

enum Line {
    Text(Vec<u8>),
    /// Write out what came before, then answer.
    Flush(std::sync::mpsc::Sender<()>),
}

/// Opens the log. Without one there is no writer.
pub(crate) fn open(target: &AccessTarget) -> anyhow::Result<(AccessLog, Option<AccessWriter>)> {
    let out: Box<dyn Write + Send> = match target {
        AccessTarget::Off => return Ok((AccessLog::off(), None)),
        AccessTarget::Output => Box::new(io::stdout()),
        AccessTarget::File(path) => Box::new(
            OpenOptions::new().append(true).create(true).open(path).with_context(|| {
                format!("--access-log: cannot write to {}; write the name of a file in a folder that exists", path.display())
            })?,
        ),
    };
    let (lines, queue) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&dropped);
    thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || write(out, &queue, &counted))?;
    let (sink, missed) = (lines.clone(), Arc::clone(&dropped));
    let log = AccessLog::to(move |line| match sink.try_send(Line::Text(line)) {
        Ok(()) => {}
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
            missed.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok((log, Some(AccessWriter { lines, dropped })))
}

impl AccessWriter {
    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits, not for ever, until everything so far is written.
    pub(crate) fn finish(&self) {
        let (done, wait) = channel();
        if self.lines.try_send(Line::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(Duration::from_secs(2));
        }
    }
}

/// Lines that wait to be written at most.
const QUEUE: usize = 16 * 1024;

fn write(out: impl Write, queue: &Receiver<Line>, dropped: &AtomicU64) {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    let mut reported = 0;
    let mut failing = false;
    while let Ok(first) = queue.recv() {
        let mut waiting = Vec::new();
        // All that is there goes out in one write.
        for line in std::iter::once(first).chain(queue.try_iter()).take(QUEUE) {
            match line {
                Line::Text(line) => {
                    let _ = out.write_all(&line);
                    if line.last() != Some(&b'\n') {
                        let _ = out.write_all(b"\n");
                    }
                }
                Line::Flush(done) => waiting.push(done),
            }
        }
        let written = out.flush();
        if let (Err(error), false) = (&written, failing) {
            tracing::error!(%error, "the access log cannot be written");
        }
        failing = written.is_err();
        let now = dropped.load(Ordering::Relaxed);
        if now > reported {
            tracing::warn!(
                lines = now - reported,
                "access log lines were dropped: its output is too slow"
            );
            reported = now;
        }
        for done in waiting {
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_arrives_once_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let (_log, writer) = open(&AccessTarget::File(path.clone())).unwrap();
        let writer = writer.unwrap();
        writer.lines.send(Line::Text(b"{}".to_vec())).unwrap();
        writer.lines.send(Line::Text(b"{}\n".to_vec())).unwrap();
        writer.finish();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{}\n{}\n");
        assert_eq!(writer.dropped(), 0);
    }

    #[test]
    fn a_file_in_no_folder_is_an_error_that_names_it() {
        let error = open(&AccessTarget::File("/nowhere/at/all.log".into()))
            .err()
            .unwrap();
        assert!(error.to_string().contains("/nowhere/at/all.log"), "{error}");
    }
}
