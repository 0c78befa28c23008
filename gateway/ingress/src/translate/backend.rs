//! What a backend reference leads to: a Service's port and its endpoints.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    net::IpAddr,
};

use route::{Backend, Cluster, ClusterId, Target};

use crate::{
    objects::{
        Objects,
        model::{BackendRef, PortRef, Service, ServicePort, Transport},
    },
    problem::{Problem, Severity, Subject},
};

use super::{
    Mode, Options,
    endpoint::{self, is_inside},
};

/// Finds backends, and gathers the clusters that they lead to.
pub(super) struct Backends<'a> {
    pub(super) objects: &'a Objects,
    options: &'a Options,
    clusters: Vec<(ClusterId, Cluster)>,
    /// Those that are there already, by the Service's place in memory: quicker than by name.
    known: HashSet<(*const Service, u16)>,
    /// Those with endpoints that something is wrong with.
    troubled: BTreeSet<ClusterId>,
}

/// Where a backend or path stands in an Ingress.
#[derive(Clone, Copy)]
pub(super) enum Spot {
    Default,
    Path { rule: usize, path: usize },
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("spec.defaultBackend"),
            Self::Path { rule, path } => write!(f, "spec.rules[{rule}].http.paths[{path}]"),
        }
    }
}

/// Where a reference stands, for its problems.
pub(super) struct Place<'p> {
    pub(super) subject: &'p Subject,
    pub(super) spot: Spot,
    pub(super) problems: &'p mut Vec<Problem>,
}

impl Place<'_> {
    pub(super) fn report(
        &mut self,
        severity: Severity,
        field: &str,
        message: String,
        hint: String,
    ) {
        let field = match self.spot {
            Spot::Default => format!("{}{field}", self.spot),
            Spot::Path { .. } => format!("{}.backend{field}", self.spot),
        };
        self.problems
            .push(self.subject.problem(severity, &field, message, hint));
    }
}

impl<'a> Backends<'a> {
    pub(super) fn new(objects: &'a Objects, options: &'a Options) -> Self {
        Self {
            objects,
            options,
            clusters: Vec::new(),
            known: HashSet::new(),
            troubled: BTreeSet::new(),
        }
    }

    /// The clusters of all backends that were found, and those whose endpoints there is a problem with.
    pub(super) fn into_clusters(self) -> (BTreeMap<ClusterId, Cluster>, BTreeSet<ClusterId>) {
        (self.clusters.into_iter().collect(), self.troubled)
    }

    /// Follows a reference.
    pub(super) fn find(&mut self, reference: &BackendRef, mut place: Place<'_>) -> Backend {
        match reference {
            BackendRef::Service { name, port } => {
                let target = self.service(name, port, &mut place);
                Backend {
                    service: name.clone(),
                    port: port.to_string(),
                    target,
                }
            }
            BackendRef::Resource { kind, name } => {
                let message =
                    format!("backends of kind {kind} are not supported; requests get 503");
                let hint = "write service: {name: …, port: {number: …}}".to_owned();
                place.report(Severity::Error, ".resource", message, hint);
                let service = format!("{kind}/{name}");
                Backend {
                    service,
                    port: String::new(),
                    target: Target::NoService,
                }
            }
            BackendRef::Nothing => {
                let message = "the backend names no Service; requests get 503".to_owned();
                let hint = "write service: {name: …, port: {number: …}}".to_owned();
                place.report(Severity::Error, "", message, hint);
                Backend {
                    service: String::new(),
                    port: String::new(),
                    target: Target::NoService,
                }
            }
        }
    }

    /// Follows the name of a Service's port that no rule names, and says nothing of it.
    pub(super) fn find_quietly(&mut self, namespace: &str, name: &str, port: &PortRef) -> Target {
        let subject = Subject {
            kind: "Ingress",
            namespace: namespace.to_owned(),
            name: String::new(),
            source: None,
        };
        let mut place = Place {
            subject: &subject,
            spot: Spot::Default,
            problems: &mut Vec::new(),
        };
        self.service(name, port, &mut place)
    }

    fn service(&mut self, name: &str, port: &PortRef, place: &mut Place<'_>) -> Target {
        let namespace = place.subject.namespace.as_str();
        let Some(service) = self.objects.services.find(namespace, name) else {
            let (message, hint) = match self.options.mode {
                Mode::Check => (
                    format!("the Service {namespace}/{name} is not among the files"),
                    "write one, unless it is in the cluster",
                ),
                Mode::Manifests | Mode::Cluster => (
                    format!("the Service {namespace}/{name} is missing; requests get 503"),
                    "create it, or name another one of this namespace",
                ),
            };
            let severity = self.options.missing(Severity::Error);
            place.report(severity, ".service.name", message, hint.to_owned());
            return Target::NoService;
        };
        if let Some(external) = &service.external_name {
            return self.external(service, external, port, place);
        }
        let Some(port) = find_port(service, port) else {
            return no_port(service, port, place);
        };
        let id = id(service, port.number);
        if self
            .known
            .insert((std::ptr::from_ref(service.as_ref()), port.number))
        {
            let before = place.problems.len();
            let cluster = endpoint::cluster(self.objects, self.options, (service, port), place);
            if place.problems.len() > before {
                self.troubled.insert(id.clone());
            }
            self.clusters.push((id.clone(), cluster));
        }
        Target::Cluster(id)
    }

    fn external(
        &mut self,
        service: &Service,
        name: &str,
        port: &PortRef,
        place: &mut Place<'_>,
    ) -> Target {
        let subject = &service.subject;
        if !self.options.allow_external_name {
            let message =
                format!("the {subject} is of type ExternalName, which is off; requests get 503");
            let hint =
                "start the gateway with --allow-external-name, or write a Service with endpoints";
            place.report(Severity::Error, ".service.name", message, hint.to_owned());
            return Target::NoService;
        }
        let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let inside = bare == "localhost"
            || bare.ends_with(".localhost")
            || bare.parse::<IpAddr>().is_ok_and(is_inside);
        if self.options.mode == Mode::Cluster && inside {
            let message = format!(
                "the {subject} leads to {name}, which is the gateway's own; requests get 503"
            );
            let hint = "name a host outside".to_owned();
            place.report(Severity::Error, ".service.name", message, hint);
            return Target::NoService;
        }
        // The ports of such a Service need not be listed.
        let number = match (find_port(service, port), port, service.ports.is_empty()) {
            (Some(port), ..) => port.number,
            (None, PortRef::Number(number), true) => *number,
            (None, PortRef::Number(_) | PortRef::Name(_) | PortRef::Nothing, _) => {
                return no_port(service, port, place);
            }
        };
        let id = id(service, number);
        let external = Some((name.to_owned(), number));
        if self.known.insert((service, number)) {
            self.clusters.push((
                id.clone(),
                Cluster {
                    endpoints: Vec::new(),
                    external,
                },
            ));
        }
        Target::Cluster(id)
    }
}

fn id(service: &Service, port: u16) -> ClusterId {
    let Subject {
        namespace, name, ..
    } = &service.subject;
    ClusterId {
        namespace: namespace.clone(),
        service: name.clone(),
        port,
    }
}

/// The port of a Service by its own name or number, never by a target port.
fn find_port<'s>(service: &'s Service, port: &PortRef) -> Option<&'s ServicePort> {
    service
        .ports
        .iter()
        .filter(|p| p.transport == Transport::Tcp)
        .find(|own| match port {
            PortRef::Name(name) => own.name == *name,
            PortRef::Number(number) => own.number == *number,
            PortRef::Nothing => false,
        })
}

fn no_port(service: &Service, port: &PortRef, place: &mut Place<'_>) -> Target {
    let ports = service
        .ports
        .iter()
        .filter(|p| p.transport == Transport::Tcp)
        .map(|p| match p.name.as_str() {
            "" => p.number.to_string(),
            name => format!("{} ({name})", p.number),
        });
    let ports: Vec<_> = ports.collect();
    let target = service.ports.iter().find(|p| match port {
        PortRef::Number(number) => p.target == Some(*number),
        PortRef::Name(_) | PortRef::Nothing => false,
    });
    let hint = match (target, ports.is_empty()) {
        (Some(own), _) => format!(
            "write the Service's port {}, not its targetPort",
            own.number
        ),
        (None, true) => "give the Service a TCP port".to_owned(),
        (None, false) => format!("write one of its TCP ports: {}", ports.join(", ")),
    };
    let message = match port {
        PortRef::Nothing => "the backend names no port; requests get 503".to_owned(),
        PortRef::Name(_) | PortRef::Number(_) => {
            format!(
                "the {} has no TCP port {port}; requests get 503",
                service.subject
            )
        }
    };
    place.report(Severity::Error, ".service.port", message, hint);
    Target::NoPort
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
            Self::Nothing => Ok(()),
        }
    }
}
