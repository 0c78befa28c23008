//! Claims about translate backend, each a test.

use route::EndpointState;

use super::*;
use crate::{Options, Problem, Severity};

/// The target of the only rule of a text, and the endpoints behind it.
fn target(yaml: &str, options: &Options) -> (Target, Vec<(String, EndpointState)>, Vec<Problem>) {
    let (config, problems) = translated(yaml, options);
    let target = config.rules[0].route.backend.target.clone();
    let endpoints = match &target {
        Target::Cluster(id) => {
            let endpoints = config.clusters[id].endpoints.iter();
            endpoints
                .map(|e| (e.address.to_string(), e.state))
                .collect()
        }
        Target::NoPort | Target::NoService => Vec::new(),
    };
    (target, endpoints, problems)
}

fn addresses(endpoints: &[(String, EndpointState)]) -> Vec<&str> {
    endpoints
        .iter()
        .map(|(address, _)| address.as_str())
        .collect()
}

fn to(port: &str) -> String {
    ingress("web", &rule("a.example", "/", "web")).replace("number: 80", port)
}

fn named(spec: &str) -> String {
    format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {spec}\n")
}

fn slice(name: &str, family: &str, ports: &str, endpoints: &str) -> String {
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}, labels: {{kubernetes.io/service-name: web}}}}\n\
         addressType: {family}\nports: [{ports}]\nendpoints: [{endpoints}]\n"
    )
}

const PORT: &str = "{ports: [{port: 80}]}";

#[test]
fn a_port_is_found_by_number_and_by_name_in_each_slice() {
    let service =
        named("{ports: [{name: http, port: 80, targetPort: web}, {name: admin, port: 81}]}")
            + &slice(
                "a",
                "IPv4",
                "{name: admin, port: 9}, {name: http, port: 8080}",
                "{addresses: [10.0.0.1]}",
            )
            + &slice(
                "b",
                "IPv4",
                "{name: http, port: 8081}",
                "{addresses: [10.0.0.2]}",
            )
            + &slice(
                "c",
                "IPv4",
                "{name: other, port: 1}",
                "{addresses: [10.0.0.3]}",
            );
    for port in ["number: 80", "name: http"] {
        let (_, endpoints, problems) = target(&(to(port) + &service), &options());
        assert_eq!(addresses(&endpoints), ["10.0.0.1:8080", "10.0.0.2:8081"]);
        assert_eq!(lines(&problems), [""; 0]);
    }
}

#[test]
fn a_target_port_is_no_port() {
    let (target, _, problems) = target(&(to("number: 8080") + &service("web")), &options());
    assert_eq!(target, Target::NoPort);
    assert_eq!(
        problems[0].hint,
        "write the Service's port 80, not its targetPort"
    );
    assert_eq!(problems[0].severity, Severity::Error);
    assert_eq!(
        problems[0].field.as_deref(),
        Some("spec.rules[0].http.paths[0].backend.service.port")
    );
}

#[test]
fn a_udp_port_is_no_port() {
    let service = named("{ports: [{port: 80, protocol: UDP}]}");
    assert_eq!(
        target(&(to("number: 80") + &service), &options()).0,
        Target::NoPort
    );
}

#[test]
fn a_missing_service_is_an_error_and_among_checked_files_a_note() {
    let (found, _, problems) = target(&to("number: 80"), &options());
    assert_eq!(found, Target::NoService);
    assert_eq!(problems[0].severity, Severity::Error);
    let (_, _, problems) = target(&to("number: 80"), &in_mode(Mode::Check));
    assert!(
        problems.iter().all(|p| p.severity == Severity::Note),
        "{problems:?}"
    );
    the(&problems, "the Service default/web is not among the files");
}

#[test]
fn the_nil_rules_of_conditions() {
    use EndpointState::{Ready, Serving, Terminating};
    let cases = [
        ("", Some(Ready)),
        ("conditions: {}", Some(Ready)),
        ("conditions: {ready: true}", Some(Ready)),
        ("conditions: {ready: false}", None),
        ("conditions: {ready: false, serving: true}", None),
        (
            "conditions: {ready: false, terminating: true}",
            Some(Terminating),
        ),
        (
            "conditions: {ready: false, serving: true, terminating: true}",
            Some(Serving),
        ),
        (
            "conditions: {ready: false, serving: false, terminating: true}",
            Some(Terminating),
        ),
        ("conditions: {ready: true, terminating: true}", Some(Ready)),
        (
            "conditions: {serving: true, terminating: false}",
            Some(Ready),
        ),
    ];
    for (conditions, state) in cases {
        let endpoint = format!("{{addresses: [10.0.0.1], {conditions}}}");
        let yaml = to("number: 80") + &named(PORT) + &slice("a", "IPv4", "{port: 1}", &endpoint);
        let (_, endpoints, _) = target(&yaml, &options());
        assert_eq!(
            endpoints.first().map(|(_, state)| *state),
            state,
            "{conditions}"
        );
    }
}

#[test]
fn an_address_of_two_slices_counts_once_in_its_best_state() {
    let at = |name, conditions: &str| {
        let endpoint = format!("{{addresses: [10.0.0.1], conditions: {conditions}}}");
        slice(name, "IPv4", "{port: 1}", &endpoint)
    };
    let yaml = to("number: 80")
        + &named(PORT)
        + &at("a", "{ready: false, serving: true, terminating: true}")
        + &at("b", "{ready: true}");
    let (_, endpoints, _) = target(&yaml, &options());
    assert_eq!(endpoints, [("10.0.0.1:1".to_owned(), EndpointState::Ready)]);
}

#[test]
fn the_first_family_of_the_service_comes_first() {
    let slices = slice("a", "IPv4", "{port: 1}", "{addresses: [10.0.0.1]}")
        + &slice("b", "IPv6", "{port: 1}", "{addresses: ['fd00::1']}")
        + &slice("c", "FQDN", "{port: 1}", "{addresses: [a.example]}");
    let yaml =
        to("number: 80") + &named("{ipFamilies: [IPv6, IPv4], ports: [{port: 80}]}") + &slices;
    let (_, endpoints, problems) = target(&yaml, &options());
    assert_eq!(addresses(&endpoints), ["[fd00::1]:1", "10.0.0.1:1"]);
    assert_eq!(lines(&problems), ["note c: endpoints by name are ignored"]);
    let yaml = to("number: 80") + &named(PORT) + &slices;
    assert_eq!(
        addresses(&target(&yaml, &options()).1),
        ["10.0.0.1:1", "[fd00::1]:1"]
    );
}

#[test]
fn a_headless_service_without_slice_ports_uses_the_target_port() {
    let slice = slice("a", "IPv4", "", "{addresses: [10.0.0.1]}");
    for (ports, address) in [
        ("{port: 80, targetPort: 8080}", "10.0.0.1:8080"),
        ("{port: 80}", "10.0.0.1:80"),
    ] {
        let service = named(&format!("{{clusterIP: None, ports: [{ports}]}}"));
        let (_, endpoints, _) = target(&(to("number: 80") + &service + &slice), &options());
        assert_eq!(addresses(&endpoints), [address]);
    }
    let service = named("{clusterIP: None, ports: [{port: 80, targetPort: http}]}");
    let (_, endpoints, problems) = target(&(to("number: 80") + &service + &slice), &options());
    assert!(endpoints.is_empty());
    the(&problems, "has no endpoint");
}

#[test]
fn endpoints_objects_count_where_there_is_no_slice() {
    let old = "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\n\
               subsets: [{addresses: [{ip: 10.0.0.9}], notReadyAddresses: [{ip: 10.0.0.8}], ports: [{port: 5}]}]\n";
    let yaml = to("number: 80") + &named(PORT) + old;
    assert_eq!(addresses(&target(&yaml, &options()).1), ["10.0.0.9:5"]);
    let yaml = to("number: 80") + &service("web") + old;
    assert_eq!(addresses(&target(&yaml, &options()).1), ["127.0.0.1:8080"]);
}

#[test]
fn a_service_without_endpoints_is_a_warning() {
    let (found, endpoints, problems) = target(&(to("number: 80") + &named(PORT)), &options());
    assert!(matches!(found, Target::Cluster(_)) && endpoints.is_empty());
    let told = "warning web: the Service default/web has no EndpointSlice; requests get 503";
    assert_eq!(lines(&problems), [told]);
}

#[test]
fn external_names_are_off_unless_allowed() {
    let outside = named("{type: ExternalName, externalName: out.example}");
    let yaml = to("number: 443") + &outside;
    let (found, _, problems) = target(&yaml, &options());
    assert_eq!(found, Target::NoService);
    assert!(
        the(&problems, "ExternalName")
            .hint
            .contains("--allow-external-name")
    );

    let allowed = Options {
        allow_external_name: true,
        ..options()
    };
    let (config, problems) = translated(&yaml, &allowed);
    assert_eq!(lines(&problems), [""; 0]);
    let externals: Vec<_> = config
        .clusters
        .values()
        .map(|c| c.external.clone())
        .collect();
    assert_eq!(externals, [Some(("out.example".to_owned(), 443))]);
    assert_eq!(
        target(&(to("name: https") + &outside), &allowed).0,
        Target::NoPort
    );

    let cluster = Options {
        mode: Mode::Cluster,
        ..allowed
    };
    for inside in ["127.0.0.1", "localhost", "169.254.169.254"] {
        let service = named(&format!("{{type: ExternalName, externalName: {inside}}}"));
        assert_eq!(
            target(&(to("number: 443") + &service), &cluster).0,
            Target::NoService,
            "{inside}"
        );
    }
}

#[test]
fn loopback_endpoints_are_refused_in_a_cluster_only() {
    let inside = "{addresses: ['fe80::1', '::1', '::ffff:169.254.169.254', 'fd00::1']}";
    let yaml = to("number: 80") + &service("web") + &slice("b", "IPv6", "{port: 1}", inside);
    let (_, endpoints, problems) = target(&yaml, &in_mode(Mode::Cluster));
    assert_eq!(addresses(&endpoints), ["[fd00::1]:1"]);
    assert_eq!(
        problems
            .iter()
            .filter(|p| p.severity == Severity::Error)
            .count(),
        4,
        "{problems:?}"
    );
    assert_eq!(target(&yaml, &options()).1.len(), 5);
}

#[test]
fn a_resource_backend_is_an_error_and_503() {
    let resource = "{resource: {kind: Bucket, name: b}}";
    let yaml = ingress("web", &rule("a.example", "/", "web")).replace(&backend("web"), resource);
    let (found, _, problems) = target(&yaml, &options());
    assert_eq!(found, Target::NoService);
    let problem = the(&problems, "backends of kind Bucket");
    assert_eq!(
        problem.field.as_deref(),
        Some("spec.rules[0].http.paths[0].backend.resource")
    );
}

#[test]
fn an_endpoint_has_the_uid_of_the_object_behind_it() {
    let service = service("web").replace(
        "[{addresses",
        "[{targetRef: {kind: Pod, uid: abc}, addresses",
    );
    let (config, _) = translated(&(to("number: 80") + &service), &options());
    let cluster = config.clusters.values().next().unwrap();
    assert_eq!(cluster.endpoints[0].uid.as_deref(), Some("abc"));
}
