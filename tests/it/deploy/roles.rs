//! What the gateway may do in a cluster: exactly this, and nothing more.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Rendered, VARIANTS, variant};

/// The rules of a role, a line each: `verbs group/resources [names]`.
fn rules(role: &Value) -> Vec<String> {
    let words = |value: &Value| {
        let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let all: Vec<_> = all
            .iter()
            .map(|word| word.as_str().expect("text"))
            .collect();
        all.join(",")
    };
    let line = |rule: &Value| {
        let (verbs, groups) = (words(&rule["verbs"]), words(&rule["apiGroups"]));
        let (resources, names) = (words(&rule["resources"]), words(&rule["resourceNames"]));
        format!("{verbs} {groups}/{resources} {names}")
            .trim_end()
            .to_owned()
    };
    let all = role["rules"].as_array().expect("rules");
    all.iter().map(line).collect()
}

/// Every role: `Kind namespace`, and its rules.
fn granted(rendered: &Rendered) -> Vec<(String, Vec<String>)> {
    let roles = rendered.all("ClusterRole").chain(rendered.all("Role"));
    let mut all: Vec<_> = roles
        .map(|role| {
            let kind = role["kind"].as_str().expect("a kind");
            let namespace = role["metadata"]["namespace"]
                .as_str()
                .unwrap_or("everywhere");
            (format!("{kind} {namespace}"), rules(role))
        })
        .collect();
    all.sort();
    all
}

const ROUTES: [&str; 8] = [
    "get,list,watch networking.k8s.io/ingresses",
    "patch networking.k8s.io/ingresses/status",
    "get,list,watch /services",
    "get,list,watch discovery.k8s.io/endpointslices",
    PLUGINS[0],
    PLUGINS[1],
    PLUGINS[2],
    PLUGINS[3],
];
const PLUGINS: [&str; 4] = [
    "get,list,watch portcullis.dev/plugins",
    "patch portcullis.dev/plugins/status",
    "get,list,watch /secrets,configmaps",
    "get,create,patch events.k8s.io/events",
];
const CLASSES: &str = "get,list,watch networking.k8s.io/ingressclasses";
const LEASES: &str = "get,create,update coordination.k8s.io/leases";
const SERVICE: &str = "get,list,watch /services web-portcullis";

fn owned(rules: &[&str]) -> Vec<String> {
    rules.iter().map(|rule| (*rule).to_owned()).collect()
}

#[test]
fn by_default_one_cluster_role_reads_and_one_role_has_the_lease() {
    let everywhere: Vec<&str> = ROUTES.into_iter().chain([CLASSES]).collect();
    assert_eq!(
        granted(&Rendered::with(&[])),
        [
            ("ClusterRole everywhere".to_owned(), owned(&everywhere)),
            ("Role edge".to_owned(), owned(&[LEASES])),
        ]
    );
}

#[test]
fn confined_it_has_roles_in_its_namespaces_only() {
    let confined = variant(&[
        "watchNamespaces={shop,blog}",
        "defaultTlsSecret=certs/wildcard",
    ]);
    assert_eq!(
        granted(&confined),
        [
            ("ClusterRole everywhere".to_owned(), owned(&[CLASSES])),
            ("Role blog".to_owned(), owned(&ROUTES)),
            (
                "Role certs".to_owned(),
                owned(&["get,list,watch /secrets wildcard"])
            ),
            ("Role edge".to_owned(), owned(&[LEASES, SERVICE])),
            ("Role shop".to_owned(), owned(&ROUTES)),
        ]
    );
    assert_eq!(
        confined.flag("--watch-namespace").as_deref(),
        Some("shop,blog")
    );
    let least = variant(&[
        "watchNamespaces={shop}",
        "rbac.ingressClasses=false",
        "service.enabled=false",
    ]);
    assert!(!least.has("ClusterRole") && !least.has("ClusterRoleBinding"));
    assert_eq!(least.all("Role").count(), 2);
}

#[test]
fn addresses_of_nodes_take_two_more_rules() {
    let everywhere: Vec<&str> = ROUTES.into_iter().chain([CLASSES]).collect();
    assert_eq!(
        granted(&variant(&["examples/edge.yaml"])),
        [
            ("ClusterRole everywhere".to_owned(), owned(&["get /nodes"])),
            ("ClusterRole everywhere".to_owned(), owned(&everywhere)),
            ("Role edge".to_owned(), owned(&[LEASES, "list /pods"])),
        ]
    );
}

#[test]
fn shared_plugins_are_read_where_they_are() {
    let shared = "config.shared-plugin-namespaces={plugins,shop}";
    let confined = Rendered::with(&["watchNamespaces={shop}", shared]);
    let roles = granted(&confined);
    let role = roles
        .iter()
        .find(|(place, _)| place == "Role plugins")
        .expect("a role");
    assert_eq!(role.1, owned(&PLUGINS));
    assert_eq!(
        roles
            .iter()
            .filter(|(place, _)| place == "Role shop")
            .count(),
        1
    );
}

#[test]
fn confined_without_its_own_namespace_it_reads_no_secret_there() {
    let confined = Rendered::with(&["watchNamespaces={shop}"]);
    for (place, rules) in granted(&confined) {
        let secrets = rules.iter().any(|rule| rule.contains("secrets"));
        assert_eq!(secrets, place == "Role shop", "{place}: {rules:?}");
    }
}

#[test]
fn no_rule_is_wider_than_its_words() {
    for (name, values) in VARIANTS {
        for (place, rules) in granted(&variant(values)) {
            for rule in rules {
                let verbs: BTreeSet<_> =
                    rule.split(' ').next().expect("verbs").split(',').collect();
                assert!(!rule.contains('*'), "{name}: {place}: {rule}");
                assert!(
                    !verbs.contains("delete") && !verbs.contains("deletecollection"),
                    "{name}"
                );
                let writes = ["create", "update", "patch"]
                    .iter()
                    .any(|verb| verbs.contains(verb));
                let may = ["/status", "/events", "/leases"]
                    .iter()
                    .any(|end| rule.ends_with(end));
                assert!(!writes || may, "{name}: {place}: {rule}");
            }
        }
    }
}

#[test]
fn every_role_is_the_service_accounts() {
    for (name, values) in VARIANTS {
        let rendered = variant(values);
        let account = &rendered.only("ServiceAccount")["metadata"]["name"];
        assert_eq!(&rendered.pod()["serviceAccountName"], account, "{name}");
        for (roles, bindings) in [
            ("ClusterRole", "ClusterRoleBinding"),
            ("Role", "RoleBinding"),
        ] {
            let of = |kind| {
                rendered
                    .all(kind)
                    .map(|o| &o["metadata"])
                    .map(|m| (&m["name"], &m["namespace"]))
            };
            assert!(of(roles).eq(of(bindings)), "{name}");
            for binding in rendered.all(bindings) {
                assert_eq!(
                    binding["roleRef"]["name"], binding["metadata"]["name"],
                    "{name}"
                );
                assert_eq!(binding["roleRef"]["kind"], roles, "{name}");
                assert_eq!(&binding["subjects"][0]["name"], account, "{name}");
                assert_eq!(binding["subjects"][0]["namespace"], "edge", "{name}");
            }
        }
    }
    let none = Rendered::with(&["rbac.create=false"]);
    assert!(!none.has("ClusterRole") && !none.has("Role"));
}
