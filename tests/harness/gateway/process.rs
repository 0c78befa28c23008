//! The gateway's process: its log, its signals, its end.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::until;

/// A running process; it is killed with this value.
pub(super) struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    start: Instant,
}

impl Process {
    pub(super) fn start(mut command: Command, arguments: &[String]) -> Self {
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(stdout) = child.stdout.take() {
            collect(stdout, log.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, log.clone());
        }
        Self { child, log, start }
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The address of a listener, as the log names it.
    pub(super) async fn listener(&self, name: &str) -> SocketAddr {
        let mut found = None;
        until(&format!("the log names the listener {name}"), async || {
            found = self.log().iter().find_map(|line| address(line, name));
            found.is_some()
        })
        .await;
        found.expect("an address")
    }

    pub(super) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .expect("a shell");
        assert!(status.success(), "{kill}");
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(super) async fn exited(&mut self) -> Option<i32> {
        until("the gateway exits", async || !self.is_running()).await;
        self.child.wait().ok().and_then(|status| status.code())
    }

    pub(super) fn since_start(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        cpu(&stat.expect("a process")).expect("its CPU time")
    }

    pub(super) fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("a process");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("its memory");
        let kibibytes: u64 = line
            .trim()
            .trim_end_matches("kB")
            .trim()
            .parse()
            .expect("a number");
        kibibytes * 1024
    }
}

/// The CPU time in a line of `/proc/PID/stat`, in ticks of 10 ms.
fn cpu(line: &str) -> Option<Duration> {
    // The name in parentheses may hold blanks.
    let (_, fields) = line.rsplit_once(") ")?;
    let mut ticks = fields
        .split(' ')
        .skip(11)
        .map_while(|field| field.parse::<u64>().ok());
    let ticks = ticks.next()? + ticks.next()?;
    Some(Duration::from_millis(ticks * 10))
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "cargo shows it with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.log() {
                eprintln!("gateway: {line}");
            }
        }
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn collect(stream: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    });
}

/// The address in a log line that says where this listener is.
fn address(line: &str, name: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let matches = line["message"] == "listening" && line["listener"] == name;
    line["address"].as_str().filter(|_| matches)?.parse().ok()
}
