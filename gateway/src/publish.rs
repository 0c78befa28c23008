//! From manifests to what is served, off the request path: read, translate, publish, and again at
//! every change. A part that cannot be used is a problem; the rest is served.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use anyhow::bail;
use ingress::{Folder, Objects, Options, Problem, Severity, Watch};
use proxy::{CertificateProblem, Gateway};
use route::{Certificate, Config, HostPattern};

use crate::{
    cli::plugin_names,
    filters::{Loader, Patience, Prepared},
    state::State,
};

/// Reads a folder, and gives the gateway what it says.
pub(crate) struct Publisher {
    folder: Folder,
    watch: Watch,
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
    /// Opens and watches the folder without reading it: no change falls between the two.
    pub(crate) fn open(
        manifests: Vec<PathBuf>,
        (options, sandbox): (Options, wasm::Settings),
        gateway: Arc<Gateway>,
        state: Arc<State>,
    ) -> anyhow::Result<Self> {
        let mut folder = open(manifests)?;
        if let Some(plugins) = &options.plugin_folder {
            folder.watch_also(plugins);
        }
        let watch = folder.watch()?;
        let waker = watch.waker();
        let wake = Arc::new(move || waker.wake());
        Ok(Self {
            loader: Loader::new(sandbox, Patience::Serving, wake),
            watch,
            folder,
            objects: objects(),
            options,
            gateway,
            state,
            told: Told::default(),
        })
    }

    /// Publishes the first configuration, says so, and publishes every change after it.
    pub(crate) fn run(mut self, first: impl FnOnce()) {
        self.publish();
        first();
        loop {
            self.watch.wait();
            self.publish();
        }
    }

    /// One round. No input can end it: a defect that panics is a problem like any other.
    fn publish(&mut self) {
        let round = catch_unwind(AssertUnwindSafe(|| self.round()));
        let problems = round.unwrap_or_else(|_| {
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
            problems
        });
        self.state.replace(problems);
    }

    fn round(&mut self) -> Vec<Problem> {
        let mut problems = self.folder.read(&mut self.objects);
        self.options.now = now();
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
        ordered(problems)
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

/// Opens folders of manifests. A file alone would be a trap: editors replace files.
pub(crate) fn open(manifests: Vec<PathBuf>) -> anyhow::Result<Folder> {
    let file = manifests.iter().find(|path| path.is_file());
    if let Some(path) = file {
        bail!(
            "the manifests at {} are a file; write the folder that holds it",
            path.display()
        );
    }
    Ok(Folder::open(manifests)?)
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
