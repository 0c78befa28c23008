//! What a backend reference leads to: a Service's port and its endpoints.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
};

use route::{Backend, Cluster, ClusterId, Endpoint, Target};

use crate::{
    objects::{
        Objects,
        model::{BackendRef, Family, PortRef, Service, ServicePort, Slice, Transport},
    },
    problem::{Problem, Severity, Subject},
};

use super::{Mode, Options};

/// Finds backends, and gathers the clusters that they lead to.
pub(super) struct Backends<'a> {
    objects: &'a Objects,
    options: &'a Options,
    clusters: BTreeMap<ClusterId, Cluster>,
}

/// Where a reference stands, for its problems.
pub(super) struct Place<'p> {
    pub(super) subject: &'p Subject,
    pub(super) field: &'p str,
    pub(super) problems: &'p mut Vec<Problem>,
}

impl Place<'_> {
    fn report(&mut self, severity: Severity, field: &str, message: String, hint: String) {
        let field = format!("{}{field}", self.field);
        self.problems
            .push(self.subject.problem(severity, &field, message, hint));
    }
}

impl<'a> Backends<'a> {
    pub(super) fn new(objects: &'a Objects, options: &'a Options) -> Self {
        Self {
            objects,
            options,
            clusters: BTreeMap::new(),
        }
    }

    /// The clusters of all backends that were found.
    pub(super) fn into_clusters(self) -> BTreeMap<ClusterId, Cluster> {
        self.clusters
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
        if !self.clusters.contains_key(&id) {
            let cluster = self.cluster(service, port, place);
            self.clusters.insert(id.clone(), cluster);
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
        self.clusters.entry(id.clone()).or_insert_with(|| Cluster {
            endpoints: Vec::new(),
            external,
        });
        Target::Cluster(id)
    }

    /// The endpoints of a port: those of the Service's first family first, each address once.
    fn cluster(&self, service: &Service, port: &ServicePort, place: &mut Place<'_>) -> Cluster {
        let Subject {
            namespace, name, ..
        } = &service.subject;
        let slices = self.objects.slices(namespace, name);
        let mut endpoints: Vec<Endpoint> = Vec::new();
        let mut places: HashMap<SocketAddr, usize> = HashMap::new();
        for slice in &slices {
            if slice.family == Family::Fqdn {
                let message = "endpoints by name are ignored";
                let hint = "write addressType: IPv4 or IPv6, with addresses";
                place.problems.push(slice.subject.problem(
                    Severity::Note,
                    "addressType",
                    message,
                    hint,
                ));
                continue;
            }
            let Some(number) = slice_port(slice, port) else {
                continue;
            };
            for endpoint in &slice.endpoints {
                if self.options.mode == Mode::Cluster && is_inside(endpoint.address) {
                    let message = format!(
                        "the endpoint {} is the gateway's own or its node's",
                        endpoint.address
                    );
                    let hint = "write an address that is not loopback or link-local";
                    place.problems.push(slice.subject.problem(
                        Severity::Error,
                        "endpoints",
                        message,
                        hint,
                    ));
                    continue;
                }
                let address = SocketAddr::new(endpoint.address, number);
                let new = Endpoint {
                    address,
                    state: endpoint.state,
                    uid: endpoint.uid.clone(),
                };
                match places.get(&address).and_then(|at| endpoints.get_mut(*at)) {
                    Some(old) if new.state < old.state => *old = new,
                    Some(_) => {}
                    None => {
                        places.insert(address, endpoints.len());
                        endpoints.push(new);
                    }
                }
            }
        }
        endpoints.sort_by_key(|e| e.address.is_ipv6() != (service.first_family == Family::V6));
        if endpoints.is_empty() {
            self.report_empty(&slices, service, port, place);
        }
        Cluster {
            endpoints,
            external: None,
        }
    }

    fn report_empty(
        &self,
        slices: &[&Slice],
        service: &Service,
        port: &ServicePort,
        place: &mut Place<'_>,
    ) {
        let subject = &service.subject;
        let (message, hint) = if slices.is_empty() {
            let label = format!("kubernetes.io/service-name: {}", subject.name);
            (
                format!("the {subject} has no EndpointSlice; requests get 503"),
                format!("write one with the label {label}"),
            )
        } else {
            let wanted = match port.name.as_str() {
                "" => "a port without a name".to_owned(),
                name => format!("a port named {name}"),
            };
            (
                format!(
                    "the {subject} has no endpoint that is ready and has {wanted}; requests get 503"
                ),
                "give its EndpointSlices one".to_owned(),
            )
        };
        let severity = match self.options.mode {
            Mode::Manifests => Severity::Warning,
            Mode::Check | Mode::Cluster => Severity::Note,
        };
        place.report(severity, ".service", message, hint);
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

/// The number of a Service's port in one of its slices. A slice without ports is a headless Service's:
/// its endpoints listen on the target port.
fn slice_port(slice: &Slice, port: &ServicePort) -> Option<u16> {
    if slice.ports.is_empty() {
        return port.target;
    }
    let own = slice
        .ports
        .iter()
        .find(|p| p.transport == Transport::Tcp && p.name == port.name)?;
    own.number.or(port.target)
}

/// Loopback and link-local addresses: in a cluster, an endpoint there would lead into the gateway's
/// own pod or to its node's metadata service.
fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

impl std::fmt::Display for PortRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
            Self::Nothing => Ok(()),
        }
    }
}
