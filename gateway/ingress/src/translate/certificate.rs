//! Which certificate each host gets, and which hosts have TLS.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;
use route::{Certificate, HostPattern};

use crate::{
    objects::{
        CertificateFacts, Objects, Usable,
        model::{Ingress, Tls},
    },
    problem::{Problem, Severity, Subject},
};

use super::{Options, Owned, host::wrong_host};

/// What the `tls` sections lead to.
pub(super) struct Selection {
    /// The hosts that are listed under `tls`, or covered by an entry without hosts.
    pub(super) hosts: HashSet<HostPattern>,
    pub(super) certificates: BTreeMap<HostPattern, Arc<Certificate>>,
    pub(super) default: Option<Arc<Certificate>>,
}

/// Goes over all `tls` sections: for each host the certificate of the oldest Ingress that has one
/// that is for it.
pub(super) fn select(
    objects: &Objects,
    options: &Options,
    ours: &[Owned<'_>],
    problems: &mut Vec<Problem>,
) -> Selection {
    let selection = Selection {
        hosts: HashSet::new(),
        certificates: BTreeMap::new(),
        default: None,
    };
    let mut selector = Selector {
        objects,
        options,
        selection,
        owners: HashMap::new(),
        problems,
    };
    for owned in ours {
        for (index, tls) in owned.ingress.tls.iter().enumerate() {
            selector.add(owned.ingress, index, tls);
        }
    }
    selector.add_default();
    selector.selection
}

struct Selector<'a, 'o> {
    objects: &'o Objects,
    options: &'a Options,
    selection: Selection,
    /// Whose certificate each host has, and where that is written.
    owners: HashMap<HostPattern, (&'a Ingress, usize)>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Selector<'a, '_> {
    fn add(&mut self, ingress: &'a Ingress, index: usize, tls: &Tls) {
        let subject = &ingress.subject;
        let field = format!("spec.tls[{index}]");
        let usable = tls.secret.as_ref().and_then(|secret| {
            self.find(
                subject,
                &format!("{field}.secretName"),
                (&subject.namespace, secret),
            )
        });
        if tls.hosts.is_empty() {
            return self.add_covered(ingress, index, usable.as_ref());
        }
        for (host_index, host) in tls.hosts.iter().enumerate() {
            let field = format!("{field}.hosts[{host_index}]");
            let host = match HostPattern::parse(host) {
                Ok(HostPattern::Any) => continue,
                Ok(host) => host,
                Err(error) => {
                    self.problems.push(wrong_host(subject, &field, host, error));
                    continue;
                }
            };
            self.selection.hosts.insert(host.clone());
            let Some(usable) = &usable else { continue };
            if covers(&usable.facts, &host) {
                self.take(ingress, index, host, usable);
            } else {
                let names = names_of(&usable.facts);
                let message = format!(
                    "the certificate is not for {host} but for {names}; the default one is served"
                );
                let hint =
                    format!("put a certificate for {host} into the Secret, or name another Secret");
                self.problems
                    .push(subject.problem(Severity::Warning, &field, message, hint));
            }
        }
    }

    /// An entry without hosts is for those hosts of its own Ingress that the certificate names.
    fn add_covered(&mut self, ingress: &'a Ingress, index: usize, usable: Option<&Usable>) {
        let Some(usable) = usable else { return };
        let hosts = ingress
            .rules
            .iter()
            .filter_map(|rule| HostPattern::parse(&rule.host).ok());
        let mut none = true;
        for host in hosts.filter(|host| covers(&usable.facts, host)) {
            none = false;
            self.selection.hosts.insert(host.clone());
            self.take(ingress, index, host, usable);
        }
        if none {
            let names = names_of(&usable.facts);
            let message =
                format!("the certificate is for {names}, and for no host of this Ingress");
            let field = format!("spec.tls[{index}]");
            let hint = "list the hosts, or put another certificate into the Secret";
            self.problems.push(
                ingress
                    .subject
                    .problem(Severity::Warning, &field, message, hint),
            );
        }
    }

    fn take(&mut self, ingress: &'a Ingress, index: usize, host: HostPattern, usable: &Usable) {
        let field = format!("spec.tls[{index}].secretName");
        let Some((owner, owner_index)) = self.owners.get(&host) else {
            self.owners.insert(host.clone(), (ingress, index));
            self.selection
                .certificates
                .insert(host, usable.certificate.clone());
            return;
        };
        let same = |c: &Arc<Certificate>| c.secret == usable.certificate.secret;
        if self.selection.certificates.get(&host).is_some_and(same) {
            return;
        }
        let owner_field = format!("spec.tls[{owner_index}].secretName");
        let message = format!(
            "{host} has its certificate from {}, which is older",
            owner.subject.place(&owner_field)
        );
        let hint = "name one Secret for a host";
        self.problems.push(
            ingress
                .subject
                .problem(Severity::Warning, &field, message, hint),
        );
        let message = format!(
            "{} names another Secret for {host}; this one counts",
            ingress.subject.place(&field)
        );
        self.problems.push(
            owner
                .subject
                .problem(Severity::Note, &owner_field, message, hint),
        );
    }

    fn add_default(&mut self) {
        let Some((namespace, name)) = &self.options.default_tls_secret else {
            return;
        };
        let subject = Subject {
            kind: "Secret",
            namespace: namespace.clone(),
            name: name.clone(),
            source: None,
        };
        let usable = self.find(&subject, "", (namespace, name));
        self.selection.default = usable.map(|usable| usable.certificate);
    }

    /// The certificate of a Secret: its last usable one.
    fn find(
        &mut self,
        subject: &Subject,
        field: &str,
        (namespace, name): (&str, &str),
    ) -> Option<Usable> {
        let secret = format!("Secret {namespace}/{name}");
        let state = self.objects.secret(namespace, name);
        let usable = state.and_then(|state| state.usable.clone());
        let still = match &usable {
            Some(_) => "its last good certificate goes on serving",
            None => "the default certificate is served",
        };
        let current = state.and_then(|state| state.current.as_ref());
        match current {
            None => {
                let severity = self.options.missing(Severity::Error);
                let what = if usable.is_some() {
                    "was deleted"
                } else {
                    "is missing"
                };
                let message = format!("the {secret} {what}; {still}");
                let hint = "create it with type kubernetes.io/tls, in the namespace of the Ingress";
                self.problems
                    .push(subject.problem(severity, field, message, hint));
            }
            Some((object, Some(fault))) => {
                let message = format!("the {secret} cannot be used: {fault}; {still}");
                let hint = "put a PEM chain into tls.crt and its key into tls.key";
                self.problems
                    .push(subject.problem(Severity::Error, field, message.clone(), hint));
                self.problems.push(
                    object
                        .subject
                        .problem(Severity::Error, "data", message, hint),
                );
            }
            Some((object, None)) => {
                if let Some(usable) = &usable {
                    self.warn_of_dates(&object.subject, &usable.facts);
                }
            }
        }
        usable
    }

    fn warn_of_dates(&mut self, subject: &Subject, facts: &CertificateFacts) {
        let now = self.options.now;
        let date = |seconds| match Timestamp::from_second(seconds) {
            Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            Err(_) => seconds.to_string(),
        };
        let message = if facts.not_after < now {
            format!("the certificate expired on {}", date(facts.not_after))
        } else if facts.not_before > now {
            format!(
                "the certificate is not valid before {}",
                date(facts.not_before)
            )
        } else if facts.not_after < now.saturating_add(SOON) {
            format!("the certificate expires on {}", date(facts.not_after))
        } else {
            return;
        };
        self.problems
            .push(subject.problem(Severity::Warning, "data", message, "renew it"));
    }
}

/// Whether a certificate is for a host; a wildcard stands for one label.
fn covers(facts: &CertificateFacts, host: &HostPattern) -> bool {
    facts
        .names
        .iter()
        .any(|name| match (host, name.strip_prefix("*.")) {
            (HostPattern::Exact(host), Some(suffix)) => host
                .split_once('.')
                .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(suffix)),
            (HostPattern::Exact(host), None) => host.eq_ignore_ascii_case(name),
            (HostPattern::Wildcard(own), Some(suffix)) => own.eq_ignore_ascii_case(suffix),
            (HostPattern::Wildcard(_), None) | (HostPattern::Any, _) => false,
        })
}

fn names_of(facts: &CertificateFacts) -> String {
    match facts.names.as_slice() {
        [] => "no host".to_owned(),
        names if names.len() <= 5 => names.join(", "),
        names => format!(
            "{} and {} more",
            names.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
            names.len() - 5
        ),
    }
}

/// How long before its end a certificate should have been renewed: 10 days.
const SOON: i64 = 10 * 24 * 3600;
