//! From objects to what is served, off the request path: read, translate, publish, and again at
//! every change. A part that cannot be used is a problem; the rest is served.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::SystemTime,
};

use ingress::{Leave, Objects, Options, PluginState, Problem, Publishing, Severity};
use proxy::{CertificateProblem, Gateway};
use route::{Certificate, Config, HostPattern};

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
    told: Told,
}

/// What the gateway said about certificates, which it does only when it reads them anew.
#[derive(Default)]
struct Told {
    certificates: BTreeMap<HostPattern, Arc<Certificate>>,
    default: Option<Arc<Certificate>>,
    problems: Vec<Problem>,
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
        Ok(Self {
            loader: Loader::new(sandbox, Patience::Serving, source.waker()),
            source,
            objects: objects(),
            options,
            gateway,
            state,
            told: Told::default(),
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
        let Some(problems) = round.unwrap_or_else(|_| {
            let mut problems = self.state.configured().to_vec();
            problems.push(Problem {
                severity: Severity::Error,
                kind: "Portcullis".to_owned(),
                namespace: String::new(),
                name: String::new(),
                field: None,
                file: None,
                line: None,
                message: "the last change could not be applied because of a defect in this program"
                    .to_owned(),
                hint: "what was served before is served on; please report it with the log"
                    .to_owned(),
            });
            Some(problems)
        }) else {
            return;
        };
        self.state.replace(problems);
        if self.source.is_complete() {
            let plugins = self.state.plugins();
            let states = plugins.iter().filter_map(PluginView::state);
            let states: Vec<PluginState> = states.collect();
            self.source.published(&self.state.problems(), states);
        }
    }

    /// The problems of what is served now; nothing where nothing changed.
    fn round(&mut self) -> Option<Vec<Problem>> {
        self.options.now = now();
        let mut problems = self.source.read(&mut self.objects, &self.options);
        self.state.set_watches(self.source.watches());
        if !self.source.is_complete() {
            // A part would answer 404 where the whole does not.
            return Some(ordered(problems));
        }
        if !self.source.changed() {
            return None;
        }
        self.loader.deny(self.source.api_server(&self.objects));
        self.options.plugin_files = plugin_names(self.options.plugin_folder.as_deref());
        let (config, found) = ingress::translate(&self.objects, &self.options);
        problems.extend(found);
        let Prepared {
            filters,
            findings,
            plugins,
        } = self.loader.prepare(&config);
        let findings = findings.into_iter();
        problems.extend(findings.map(|finding| finding.problem(&self.objects)));
        let said = self.gateway.publish(&config, &filters);
        self.state.set_plugins(plugins);
        self.told.take(config, said);
        problems.extend(self.told.problems.iter().cloned());
        Some(ordered(problems))
    }
}

impl Told {
    fn take(&mut self, config: Config, said: Vec<CertificateProblem>) {
        let Config {
            certificates,
            default_certificate: default,
            ..
        } = config;
        let mut problems: Vec<_> = said.into_iter().map(certificate_problem).collect();
        if self.certificates == certificates && self.default == default {
            problems.append(&mut self.problems);
        }
        *self = Self {
            certificates,
            default,
            problems,
        };
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
