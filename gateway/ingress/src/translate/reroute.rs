//! The backends that filters may send requests to besides the one of the rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use route::{Backends as Granted, Target};
use serde_json::{Map, Value};

use crate::{
    objects::model::{BackendRef, Ingress, PortRef, Service, ServicePort, Transport},
    problem::Problem,
};

use super::{
    backend::{Backends, Place, Spot},
    chain::Maker,
};

/// What is wanted, by namespace.
#[derive(Default)]
pub(super) struct Reroutes(BTreeMap<String, Wanted>);

#[derive(Default)]
struct Wanted {
    all: bool,
    listed: BTreeSet<String>,
    /// What was found already.
    found: BTreeMap<String, Target>,
}

impl Reroutes {
    /// A plugin with this grant stands in a chain of the namespace.
    pub(super) fn grant(&mut self, namespace: &str, granted: &Granted) {
        match granted {
            Granted::Listed(names) if names.is_empty() => {}
            Granted::Listed(names) => {
                let listed = &mut self.of(namespace).listed;
                listed.extend(names.iter().cloned());
            }
            Granted::All => self.of(namespace).all = true,
        }
    }

    /// A configuration names this backend.
    pub(super) fn found(&mut self, namespace: &str, name: String, target: Target) {
        self.of(namespace).found.insert(name, target);
    }

    fn of(&mut self, namespace: &str) -> &mut Wanted {
        self.0.entry(namespace.to_owned()).or_default()
    }

    /// Finds them all; their clusters are among those of the rules.
    pub(super) fn finish(
        self,
        backends: &mut Backends<'_>,
    ) -> BTreeMap<String, Arc<BTreeMap<String, Target>>> {
        let each = self.0.into_iter().map(|(namespace, wanted)| {
            let mut found = wanted.found;
            let mut names: Vec<(String, PortRef)> = Vec::new();
            for listed in &wanted.listed {
                names.extend(parse(listed));
            }
            let services = backends.objects.services.of_namespace(&namespace);
            let services = services.filter(|_| wanted.all);
            names.extend(services.flat_map(|service| ports(service)));
            for (service, port) in names {
                // Only a configuration that names it makes one that is missing a place to go to.
                let target = backends.find_quietly(&namespace, &service, &port);
                if matches!(target, Target::Cluster(_)) {
                    found.entry(format!("{service}:{port}")).or_insert(target);
                }
            }
            (namespace, Arc::new(found))
        });
        each.collect()
    }
}

/// The TCP ports of a Service, by number and by name.
fn ports(service: &Service) -> impl Iterator<Item = (String, PortRef)> {
    let tcp = |port: &&ServicePort| port.transport == Transport::Tcp;
    let both = |port: &ServicePort| {
        let name = Some(port.name.clone()).filter(|name| !name.is_empty());
        [Some(PortRef::Number(port.number)), name.map(PortRef::Name)]
    };
    let ports = service.ports.iter().filter(tcp).flat_map(both).flatten();
    ports.map(|port| (service.subject.name.clone(), port))
}

/// `service:port`
fn parse(text: &str) -> Option<(String, PortRef)> {
    let (service, port) = text.split_once(':')?;
    Some((service.to_owned(), PortRef::parse(port)))
}

/// Looks up the backends that a configuration of the filter `canary` names; says at the annotation what
/// is missing, with a JSON pointer.
pub(super) fn check(
    config: &Map<String, Value>,
    field: &str,
    maker: &mut Maker<'_, '_>,
) -> Vec<(String, Target)> {
    let backends = config.get("backends").and_then(Value::as_array);
    let mut found = Vec::new();
    for (index, backend) in backends.into_iter().flatten().enumerate() {
        let port = match backend.get("port") {
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
                continue;
            }
        };
        // What has the wrong form is the schema's to tell.
        let Some(service) = backend.get("service").and_then(Value::as_str) else {
            continue;
        };
        let reference = BackendRef::Service {
            name: service.to_owned(),
            port: PortRef::parse(&port),
        };
        let mut own = Vec::new();
        let place = Place {
            subject: &maker.ingress.subject,
            spot: Spot::Default,
            problems: &mut own,
        };
        let target = maker.backends.find(&reference, place).target;
        let told = own
            .into_iter()
            .map(|problem| tell(problem, (field, index), maker.ingress));
        maker.problems.extend(told);
        found.push((format!("{service}:{port}"), target));
    }
    found
}

/// A problem of a backend, told where the configuration names it.
fn tell(problem: Problem, (field, index): (&str, usize), ingress: &Ingress) -> Problem {
    let part = problem.field.as_deref().unwrap_or_default();
    let part = match part.strip_prefix("spec.defaultBackend.service") {
        Some(".name") => "/service",
        Some(".port") => "/port",
        Some(_) => "",
        // It is about the Service's own objects.
        None => return problem,
    };
    let message = format!("{} (at /backends/{index}{part})", problem.message);
    let subject = &ingress.subject;
    subject.problem(problem.severity, field, message, problem.hint)
}

impl PortRef {
    /// A number, else a name.
    pub(super) fn parse(text: &str) -> Self {
        match text.parse::<u16>() {
            Ok(number) if number > 0 => Self::Number(number),
            Ok(_) | Err(_) if text.is_empty() => Self::Nothing,
            Ok(_) | Err(_) => Self::Name(text.to_owned()),
        }
    }
}
