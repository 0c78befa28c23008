//! From objects to what is served, off the request path: read, translate, publish, and again at
//! every change. A part that cannot be used is a problem; the rest is served.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use ingress::{
    Changes, Leave, Objects, Options, PluginState, Problem, Publishing, Severity, Translation,
};
use proxy::{CertificateProblem, Gateway};

use crate::{
    cli::{Origin, plugin_names},
    filters::{Loader, Patience, PluginView, Prepared},
    source::Source,
    state::State,
};

/// Reads a source, and gives the gateway what it says.
pub(crate) struct Publisher {
    source: Source,
    objects: Objects,
    options: Options,
    loader: Loader,
    gateway: Arc<Gateway>,
    state: Arc<State>,
    live: Option<Live>,
    /// Whether the loader has something new.
    loaded: Arc<AtomicBool>,
}

/// What is served.
struct Live {
    translation: Translation,
    /// What is wrong with it besides what the translation knows.
    findings: Vec<Problem>,
    /// What the gateway said about certificates, which it does only when it reads them anew.
    certificates: Vec<Problem>,
    since: Instant,
}

/// What a round came to.
struct Round {
    problems: Vec<Problem>,
    /// Whether only endpoints changed, if anything.
    minor: bool,
}

impl Publisher {
    /// Opens and watches the source without reading it: no change falls between the two.
    pub(crate) fn open(
        origin: Origin,
        (mut options, sandbox, publishing): (Options, wasm::Settings, Publishing),
        gateway: Arc<Gateway>,
        state: Arc<State>,
    ) -> anyhow::Result<Self> {
        let source = Source::open(origin, &mut options, publishing)?;
        let loaded = Arc::new(AtomicBool::new(false));
        let (waker, turned) = (source.waker(), Arc::clone(&loaded));
        let waker = move || {
            turned.store(true, Ordering::Release);
            waker();
        };
        Ok(Self {
            loader: Loader::new(sandbox, Patience::Serving, Arc::new(waker)),
            source,
            objects: objects(),
            options,
            gateway,
            state,
            live: None,
            loaded,
        })
    }

    /// What ends the writing into a cluster, if there is one.
    pub(crate) fn leave(&mut self) -> Option<Leave> {
        self.source.leave()
    }

    /// Publishes the first complete configuration, says so, and publishes every change after it.
    pub(crate) fn run(mut self, first: impl FnOnce()) {
        let mut first = Some(first);
        loop {
            self.publish();
            if let Some(first) = first.take_if(|_| self.source.is_complete()) {
                first();
            }
            self.source.wait();
        }
    }

    /// One round. No input can end it: a defect that panics is a problem like any other.
    fn publish(&mut self) {
        let round = catch_unwind(AssertUnwindSafe(|| self.round()));
        let Some(Round { problems, minor }) = round.unwrap_or_else(|_| {
            let mut problems = self.state.configured().to_vec();
            // It may be there since the last round.
            let defect = defect();
            problems.retain(|problem| *problem != defect);
            problems.push(defect);
            let minor = false;
            Some(Round { problems, minor })
        }) else {
            return;
        };
        let before = self.state.configured();
        if minor && *before == problems {
            return self.state.read_again();
        }
        self.state.replace(problems);
        if self.source.is_complete() {
            let plugins = self.state.plugins();
            let states = plugins.iter().filter_map(PluginView::state);
            let states: Vec<PluginState> = states.collect();
            self.source.published(&self.state.problems(), states);
        }
    }

    /// What is wrong with what is served now; nothing where nothing changed.
    fn round(&mut self) -> Option<Round> {
        self.options.now = now();
        let mut problems = self.source.read(&mut self.objects, &self.options);
        self.state.set_watches(self.source.watches());
        if !self.source.is_complete() {
            // A part would answer 404 where the whole does not.
            let (problems, minor) = (ordered(problems), false);
            return Some(Round { problems, minor });
        }
        if !self.source.changed() {
            return None;
        }
        self.loader.deny(self.source.api_server(&self.objects));
        let changes = self.objects.take_changes();
        let before = self.live.take();
        let minor = before
            .as_ref()
            .is_some_and(|live| self.update(live, &changes));
        let live = match before {
            Some(live) if minor => live,
            before => self.translate(before),
        };
        let parts = [
            &live.translation.problems,
            &live.findings,
            &live.certificates,
        ];
        problems.extend(parts.into_iter().flatten().cloned());
        self.live = Some(live);
        let problems = ordered(problems);
        Some(Round { problems, minor })
    }

    /// Brings endpoints up to date where that is all there is to do: whether it is.
    fn update(&self, live: &Live, changes: &Changes) -> bool {
        // Files of plugins change without a word of it among the objects, and certificates end with time alone.
        let certain = self.source.has_objects_only()
            && self.options.plugin_folder.is_none()
            && live.since.elapsed() < AT_LEAST;
        if self.loaded.load(Ordering::Acquire) || changes.others || !certain {
            return false;
        }
        let (translation, services) = (&live.translation, &changes.endpoints);
        let endpoints = translation.endpoints(&self.objects, &self.options, services);
        endpoints.is_some_and(|clusters| {
            self.gateway.update_endpoints(&clusters);
            true
        })
    }

    /// From all objects to what is served.
    fn translate(&mut self, before: Option<Live>) -> Live {
        self.loaded.store(false, Ordering::Release);
        self.options.plugin_files = plugin_names(self.options.plugin_folder.as_deref());
        let translation = Translation::new(&self.objects, &self.options);
        let Prepared {
            filters,
            findings,
            plugins,
        } = self.loader.prepare(&translation.config);
        let said = self.gateway.publish(&translation.config, &filters);
        self.state.set_plugins(plugins);
        let findings = findings.into_iter();
        let findings = findings.map(|finding| finding.problem(&self.objects));
        let mut certificates: Vec<_> = said.into_iter().map(certificate_problem).collect();
        if let Some(mut before) = before {
            let (old, new) = (&before.translation.config, &translation.config);
            if old.certificates == new.certificates
                && old.default_certificate == new.default_certificate
            {
                certificates.append(&mut before.certificates);
            }
        }
        Live {
            findings: findings.collect(),
            translation,
            certificates,
            since: Instant::now(),
        }
    }
}

/// The problem of a round that panicked.
fn defect() -> Problem {
    Problem {
        severity: Severity::Error,
        kind: "Portcullis".to_owned(),
        namespace: String::new(),
        name: String::new(),
        field: None,
        file: None,
        line: None,
        message: "the last change could not be applied because of a defect in this program"
            .to_owned(),
        hint: "what was served before is served on; please report it with the log".to_owned(),
    }
}

/// The objects of nothing yet, with certificates read as the gateway reads them.
pub(crate) fn objects() -> Objects {
    Objects::new(|chain, key| {
        let facts = proxy::inspect_certificate(chain, key).map_err(|error| error.to_string())?;
        let proxy::CertificateInfo {
            names,
            not_before,
            not_after,
        } = facts;
        Ok(ingress::CertificateFacts {
            names,
            not_before,
            not_after,
        })
    })
}

/// Seconds since 1970: certificates are judged by it.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Problems in the order of their files, and each once.
pub(crate) fn ordered(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| place(a).cmp(&place(b)));
    problems.dedup();
    problems
}

type Place<'a> = (bool, Option<&'a str>, Option<usize>, Severity, [&'a str; 6]);

fn place(problem: &Problem) -> Place<'_> {
    let Problem {
        severity,
        kind,
        namespace,
        name,
        field,
        file,
        line,
        message,
        hint,
    } = problem;
    (
        file.is_none(),
        file.as_deref(),
        *line,
        *severity,
        [
            namespace,
            kind,
            name,
            field.as_deref().unwrap_or_default(),
            message,
            hint,
        ],
    )
}

/// The gateway's own word on a certificate, as a problem of its Secret.
pub(crate) fn certificate_problem(problem: CertificateProblem) -> Problem {
    let CertificateProblem { secret, message } = problem;
    let (namespace, name) = secret.split_once('/').unwrap_or(("", &secret));
    Problem {
        severity: Severity::Error,
        kind: "Secret".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        field: Some("data".to_owned()),
        file: None,
        line: None,
        message,
        hint: "write a chain of PEM certificates, leaf first, in tls.crt and the leaf's key in tls.key".to_owned(),
    }
}

/// How often everything is translated where endpoints change all the time.
const AT_LEAST: Duration = Duration::from_secs(30);
