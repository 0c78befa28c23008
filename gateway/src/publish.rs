//! From manifests to what is served, off the request path: read, translate, publish, and again at
//! every change. A part that cannot be used is a problem; the rest is served.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use ingress::{Folder, Objects, Options, Problem, Severity, SourceError, Watch};
use proxy::{CertificateProblem, Gateway};

use crate::state::State;

/// Reads a folder, and gives the gateway what it says.
pub(crate) struct Publisher {
    folder: Folder,
    watch: Watch,
    objects: Objects,
    options: Options,
    gateway: Arc<Gateway>,
    state: Arc<State>,
    applied: Option<(route::Config, Vec<Problem>)>,
}

impl Publisher {
    /// Opens and watches the folder without reading it: no change falls between the two.
    pub(crate) fn open(
        manifests: Vec<PathBuf>,
        options: Options,
        gateway: Arc<Gateway>,
        state: Arc<State>,
    ) -> Result<Self, SourceError> {
        let folder = Folder::open(manifests)?;
        Ok(Self {
            watch: folder.watch()?,
            folder,
            objects: objects(),
            options,
            gateway,
            state,
            applied: None,
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
            let mut problems = self.state.problems().to_vec();
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
        let (config, found) = ingress::translate(&self.objects, &self.options);
        problems.extend(found);
        if self
            .applied
            .as_ref()
            .is_none_or(|(applied, _)| *applied != config)
        {
            let mut told = self
                .gateway
                .publish(&config)
                .into_iter()
                .map(certificate_problem)
                .collect();
            // The gateway speaks of certificates only when it reads them anew.
            if let Some((applied, before)) = self.applied.take()
                && applied.certificates == config.certificates
                && applied.default_certificate == config.default_certificate
            {
                told = ordered(before.into_iter().chain(told).collect());
            }
            self.applied = Some((config, told));
            self.state.applied.fetch_add(1, Ordering::Relaxed);
            tracing::debug!("a new configuration is served");
        }
        problems.extend(
            self.applied
                .iter()
                .flat_map(|(_, problems)| problems.clone()),
        );
        ordered(problems)
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
