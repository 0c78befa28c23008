//! The resources that the API server has.

use serde_json::{Value, json};

/// A resource of the API.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) short: &'static str,
    pub(super) namespaced: bool,
    pub(super) status: bool,
    /// Whose objects these are in another form.
    pub(super) stored: &'static str,
}

const fn row(
    (group, version): (&'static str, &'static str),
    (plural, kind, short): (&'static str, &'static str, &'static str),
    namespaced: bool,
    status: bool,
) -> Resource {
    Resource {
        group,
        version,
        plural,
        kind,
        short,
        namespaced,
        status,
        stored: plural,
    }
}

const CORE: (&str, &str) = ("", "v1");
const NETWORKING: (&str, &str) = ("networking.k8s.io", "v1");

/// All of them.
pub(super) static RESOURCES: [Resource; 14] = [
    row(CORE, ("namespaces", "Namespace", "ns"), false, true),
    row(CORE, ("nodes", "Node", "no"), false, true),
    row(CORE, ("pods", "Pod", "po"), true, true),
    row(CORE, ("services", "Service", "svc"), true, true),
    row(CORE, ("endpoints", "Endpoints", "ep"), true, false),
    row(CORE, ("secrets", "Secret", ""), true, false),
    row(CORE, ("configmaps", "ConfigMap", "cm"), true, false),
    row(CORE, ("events", "Event", "ev"), true, false),
    row(
        ("events.k8s.io", "v1"),
        ("events", "Event", "ev"),
        true,
        false,
    ),
    row(NETWORKING, ("ingresses", "Ingress", "ing"), true, true),
    row(
        NETWORKING,
        ("ingressclasses", "IngressClass", ""),
        false,
        false,
    ),
    row(
        ("discovery.k8s.io", "v1"),
        ("endpointslices", "EndpointSlice", ""),
        true,
        false,
    ),
    row(
        ("coordination.k8s.io", "v1"),
        ("leases", "Lease", ""),
        true,
        false,
    ),
    row(
        ("portcullis.dev", "v1alpha1"),
        ("plugins", "Plugin", ""),
        true,
        true,
    ),
];

impl Resource {
    /// The resource of an object.
    pub(super) fn of(object: &Value) -> Option<&'static Self> {
        let (version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
        RESOURCES
            .iter()
            .find(|resource| resource.api_version() == version && resource.kind == kind)
    }

    pub(super) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|resource| {
            (resource.group, resource.version, resource.plural) == (group, version, plural)
        })
    }

    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Where its group and version are.
    fn path(&self) -> String {
        match self.group {
            "" => format!("api/{}", self.version),
            group => format!("apis/{group}/{}", self.version),
        }
    }

    /// Its name with its group, as errors have it.
    pub(super) fn full_name(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

/// What `/api`, `/apis` and all below them say, but for objects.
pub(super) fn discovery(path: &str, absent: &[&str]) -> Option<Value> {
    let present = || {
        RESOURCES
            .iter()
            .filter(|resource| !absent.contains(&resource.plural))
    };
    let mut groups: Vec<(&str, &str)> = present()
        .filter(|resource| !resource.group.is_empty())
        .map(|resource| (resource.group, resource.version))
        .collect();
    groups.sort_unstable();
    groups.dedup();
    let group = |(group, version): &(&str, &str)| {
        let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
        json!({"name": group, "versions": [version], "preferredVersion": version})
    };
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let list = |group: &str, version: &str| {
        let own = present().filter(|r| (r.group, r.version) == (group, version));
        let resources: Vec<Value> = own.flat_map(describe).collect();
        let name = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        (!resources.is_empty()).then(|| {
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name,
                   "resources": resources})
        })
    };
    match parts.as_slice() {
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": []})),
        ["apis"] => Some(json!({"kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups.iter().map(group).collect::<Vec<_>>()})),
        ["api", version] => list("", version),
        ["apis", name] => groups.iter().find(|(own, _)| own == name).map(group),
        ["apis", group, version] => list(group, version),
        ["openapi", "v3"] => {
            let path = |resource: &Resource| {
                let path = resource.path();
                let at = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=0")});
                (path, at)
            };
            let paths: serde_json::Map<_, _> = present().map(path).collect();
            Some(json!({"paths": paths}))
        }
        ["openapi", "v3", rest @ ..] => {
            let wanted = rest.join("/");
            let own = present().filter(|resource| resource.path() == wanted);
            let paths: serde_json::Map<_, _> = own.map(operations).collect();
            Some(
                json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.35.0"},
                "paths": paths, "components": {"schemas": {}}}),
            )
        }
        ["version"] => Some(json!({"major": "1", "minor": "35", "gitVersion": "v1.35.0",
            "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z",
            "goVersion": "none", "compiler": "none", "platform": "linux/amd64"})),
        _ => None,
    }
}

/// What `kubectl` looks for: whether patches can be validated here.
fn operations(resource: &Resource) -> (String, Value) {
    let Resource {
        group,
        version,
        plural,
        kind,
        ..
    } = resource;
    let of = if resource.namespaced {
        "namespaces/{namespace}/"
    } else {
        ""
    };
    let path = format!("/{}/{of}{plural}/{{name}}", resource.path());
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let patch = json!({
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        "parameters": [parameter("fieldValidation"), parameter("dryRun")],
        "responses": {},
    });
    (path, json!({"patch": patch}))
}

fn describe(resource: &Resource) -> Vec<Value> {
    let Resource {
        plural,
        kind,
        short,
        namespaced,
        status,
        ..
    } = resource;
    let shorts: Vec<&str> = Some(*short).filter(|s| !s.is_empty()).into_iter().collect();
    let verbs = [
        "create", "delete", "get", "list", "patch", "update", "watch",
    ];
    let mut all = vec![json!({"name": plural, "singularName": kind.to_lowercase(),
        "namespaced": namespaced, "kind": kind, "verbs": verbs, "shortNames": shorts})];
    if *status {
        all.push(
            json!({"name": format!("{plural}/status"), "singularName": "",
            "namespaced": namespaced, "kind": kind, "verbs": ["get", "patch", "update"]}),
        );
    }
    all
}
