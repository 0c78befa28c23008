//! `portcullis plugin test`: recorded cases through the host and the limits of production.

use std::{
    fmt, fs,
    io::{self, Write},
    mem,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use http::HeaderMap;
use route::Isolation;
use tokio::runtime;
use tracing::Level;
use tracing_subscriber::fmt::format;
use wasm::Attached;

use super::{
    attached,
    case::{Case, Expected},
    config, granted, limits, load,
    run::{Outcome, once},
};
use crate::{
    FAILED,
    cli::{Mistakes, TestFlags},
    say,
};

/// Runs all cases; 1 where one of them fails.
pub(super) fn command(flags: &TestFlags) -> anyhow::Result<ExitCode> {
    let (usual, limits) = (config(&flags.terms)?, limits(&flags.terms)?);
    let cases = cases(flags)?;
    let (engine, component) = load(&flags.file)?;
    let lines = Lines::default();
    lines.listen();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut passed, mut failed) = (0, 0);
    for (place, case) in &cases {
        // Each case begins anew: no bucket and no value is left from another one.
        let plugin = granted(&engine, &component, limits.clone(), Isolation::Shared)?;
        let outcome = match attached(&plugin, case.config.as_ref().unwrap_or(&usual)) {
            Ok(filter) => runtime
                .block_on(run(&filter, case))
                .with_context(|| Mistakes::one(format!("{place} cannot be run")))?,
            Err(error) => Outcome::refused(&error),
        };
        let said = lines.take();
        match outcome.differs(&case.expect) {
            None => passed += 1,
            Some(what) => {
                failed += 1;
                let name = match case.name.as_str() {
                    "" => String::new(),
                    name => format!("{name}: "),
                };
                say(&format!("{place}: failed: {name}{what}"));
                for line in said.lines() {
                    say(&format!("    {}", line.trim_start()));
                }
            }
        }
    }
    say(&format!("{passed} passed, {failed} failed"));
    Ok(if failed > 0 {
        FAILED.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// All cases, each with its place. A file that cannot be read whole is not run at all.
fn cases(flags: &TestFlags) -> anyhow::Result<Vec<(String, Case)>> {
    let shown = flags.cases.display();
    let text = fs::read_to_string(&flags.cases).with_context(|| {
        Mistakes::one(format!(
            "cannot read the cases in {shown}; write a file with a JSON object a line, --cases FILE"
        ))
    })?;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("//")
    });
    let cases = lines.map(|(index, line)| {
        let place = format!("{shown}:{}", index + 1);
        let case = serde_json::from_str(line)
            .with_context(|| Mistakes::one(format!("{place}: this is no case")))?;
        Ok((place, case))
    });
    let cases: Vec<_> = cases.collect::<anyhow::Result<_>>()?;
    if cases.is_empty() {
        return Err(Mistakes::one(format!("there is no case in {shown}; write one a line")).into());
    }
    Ok(cases)
}

/// Runs a case so often as it wants.
async fn run(filter: &Attached, case: &Case) -> anyhow::Result<Outcome> {
    for _ in 1..case.times {
        once(filter, case).await?;
    }
    once(filter, case).await
}

impl Outcome {
    /// What is not as it was expected, if anything.
    fn differs(&self, expected: &Expected) -> Option<String> {
        if let Some(wanted) = expected.verdict.filter(|w| w.word() != self.verdict) {
            let found = format!("{} {}", self.verdict, self.reason);
            return not("the verdict", found.trim_end(), wanted.word());
        }
        let mut wanted = expected.reason.iter();
        if let Some(wanted) = wanted.find(|wanted| !self.reason.contains(*wanted)) {
            return not("the reason", &self.reason, wanted);
        }
        let status = self.answer.as_ref().map_or(0, |head| head.status.as_u16());
        if let Some(wanted) = expected.status.filter(|wanted| *wanted != status) {
            return not("the status", &status, &wanted);
        }
        let none = HeaderMap::new();
        let fields = self.answer.as_ref().map_or(&none, |head| &head.headers);
        if let Some(what) = expected.headers.differs(fields) {
            return Some(format!("the answer's {what}"));
        }
        if let Some(what) = expected.body.as_ref().and_then(|b| b.differs(&self.body)) {
            return Some(format!("the body is {what}"));
        }
        self.request_differs(expected)
    }

    fn request_differs(&self, expected: &Expected) -> Option<String> {
        let sent = &expected.request;
        // One that never ran has sent nothing.
        let none = HeaderMap::new();
        let exchange = self.exchange.as_ref();
        let fields = exchange.map_or(&none, |exchange| &exchange.request.headers);
        if let Some(what) = sent.headers.differs(fields) {
            return Some(format!("the request's {what}"));
        }
        let path = exchange.map(|exchange| exchange.request.uri.to_string());
        let path = path.unwrap_or_default();
        if let Some(wanted) = sent.path.as_ref().filter(|wanted| **wanted != path) {
            return not("the path", &path, wanted);
        }
        let body = String::from_utf8_lossy(&self.request_body);
        if let Some(wanted) = sent.body.as_ref().filter(|wanted| **wanted != body) {
            return not("the request's body", &body, wanted);
        }
        let backend = exchange.and_then(|exchange| exchange.steering.backend.as_deref());
        let backend = backend.unwrap_or_default();
        let wanted = expected.backend.as_ref().filter(|w| **w != backend)?;
        not("the backend", backend, wanted)
    }
}

fn not(
    what: &str,
    found: &(impl fmt::Debug + ?Sized),
    wanted: &(impl fmt::Debug + ?Sized),
) -> Option<String> {
    Some(format!("{what} is {found:?} instead of {wanted:?}"))
}

/// What a filter logged, and how its hooks failed.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Takes the place of the program's log.
    fn listen(&self) {
        let lines = self.clone();
        let message = |out: &mut format::Writer<'_>,
                       field: &tracing::field::Field,
                       value: &dyn fmt::Debug| {
            match field.name() {
                "message" => write!(out, "{value:?}"),
                _ => Ok(()),
            }
        };
        let log = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .fmt_fields(format::debug_fn(message))
            .with_writer(move || lines.clone());
        // It is the first of the process.
        let _ = log.try_init();
    }

    fn take(&self) -> String {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&mem::take(&mut *lines)).into_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
