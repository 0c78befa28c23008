//! What is under `deploy`: the chart as the real helm renders it, and the examples as they are served.

mod api;
mod chart;
mod examples;
mod image;
mod integrations;
mod metrics;
mod migrating;
mod notes;
mod refused;
mod roles;
mod table;
mod walk;

use std::path::PathBuf;

use harness::{Outcome, run, tool};
use serde_json::Value;

/// A path below `deploy`.
fn deploy(path: &str) -> PathBuf {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.join("../deploy").join(path)
}

fn read(path: &str) -> String {
    let path = deploy(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every document of a text in YAML.
fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
    all.into_iter().filter(|value| !value.is_null()).collect()
}

/// The chart with values, each as `--set` or `--values` takes it, in the namespace `edge`.
fn helm(values: &[&str]) -> Outcome {
    let mut helm = tool("helm");
    helm.args(["template", "web"])
        .arg(deploy("helm/portcullis"));
    helm.args(["--namespace", "edge"]);
    for value in values {
        let flag = if value.ends_with(".yaml") {
            "--values"
        } else {
            "--set"
        };
        helm.args([flag, value]);
    }
    run(&mut helm)
}

/// The objects that the chart becomes with these values.
#[derive(Debug)]
struct Rendered(Vec<Value>);

impl Rendered {
    fn with(values: &[&str]) -> Self {
        let outcome = helm(values);
        assert_eq!(outcome.code, 0, "{values:?}: {}", outcome.stderr);
        Self(documents(&outcome.stdout))
    }

    fn all<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let kind = kind.to_owned();
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// The only object of this kind.
    fn only(&self, kind: &str) -> &Value {
        let all: Vec<_> = self.all(kind).collect();
        assert_eq!(all.len(), 1, "{kind}: {all:#?}");
        all[0]
    }

    fn has(&self, kind: &str) -> bool {
        self.all(kind).next().is_some()
    }

    /// The pod template's spec.
    fn pod(&self) -> &Value {
        let mut workloads = self.0.iter().filter(|object| {
            let kind = object["kind"].as_str();
            matches!(kind, Some("Deployment" | "DaemonSet"))
        });
        let workload = workloads.next().expect("a workload");
        assert!(workloads.next().is_none(), "one workload");
        &workload["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    fn arguments(&self) -> Vec<String> {
        let arguments = self.container()["args"].as_array().expect("arguments");
        arguments
            .iter()
            .map(|argument| argument.as_str().expect("text").to_owned())
            .collect()
    }

    /// The value of a flag.
    fn flag(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}=");
        let arguments = self.arguments();
        let mut found = arguments
            .iter()
            .filter_map(|argument| argument.strip_prefix(&prefix));
        let value = found.next().map(str::to_owned);
        assert!(found.next().is_none(), "{name} stands twice");
        value
    }
}

/// Installations that are rendered and compared with the Kubernetes API.
const VARIANTS: [(&str, &[&str]); 12] = [
    ("default", &[]),
    (
        "node ports",
        &[
            "service.type=NodePort",
            "service.nodePorts.http=30080",
            "service.nodePorts.https=30443",
        ],
    ),
    (
        "inside the cluster",
        &[
            "service.type=ClusterIP",
            "podDisruptionBudget.enabled=false",
            "replicas=1",
        ],
    ),
    ("edge nodes", &["examples/edge.yaml"]),
    (
        "host ports",
        &[
            "kind=DaemonSet",
            "hostPorts.http=80",
            "hostPorts.https=443",
            "service.enabled=false",
        ],
    ),
    (
        "confined",
        &[
            "watchNamespaces={shop,blog}",
            "defaultTlsSecret=certs/wildcard",
        ],
    ),
    (
        "confined, without classes",
        &[
            "watchNamespaces={shop}",
            "rbac.ingressClasses=false",
            "ingressClass.create=false",
        ],
    ),
    (
        "scaled",
        &["autoscaling.enabled=true", "autoscaling.memory=80"],
    ),
    (
        "observed",
        &["examples/integrations/prometheus-operator.yaml"],
    ),
    (
        "behind proxies",
        &["examples/integrations/proxy-protocol.yaml"],
    ),
    ("take-over", &["examples/take-over.yaml"]),
    ("everything", &["examples/everything.yaml"]),
];

/// A variant, its files being below `deploy`.
fn variant(values: &[&str]) -> Rendered {
    let values: Vec<String> = values
        .iter()
        .map(|value| match value.ends_with(".yaml") {
            true => deploy(value).display().to_string(),
            false => (*value).to_owned(),
        })
        .collect();
    Rendered::with(&values.iter().map(String::as_str).collect::<Vec<_>>())
}
