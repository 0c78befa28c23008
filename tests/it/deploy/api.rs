//! Rendered objects against the types of the Kubernetes API: what is read and written again must be
//! the same. A field that does not exist would be lost, one that is required and missing would appear.

use k8s_openapi::{
    DeepMerge, Resource,
    api::{
        apps::v1::{DaemonSet, Deployment},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, IngressClass, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Rendered, VARIANTS, documents, variant};

/// Compares an object with the type of its kind; not those of operators, which are no part of the API.
pub(super) fn compare(what: &str, object: &Value) {
    let version = object["apiVersion"].as_str().expect("an apiVersion");
    let kind = object["kind"].as_str().expect("a kind");
    let mut known = false;
    let mut with = |matches: bool, again: fn(&Value) -> Result<Value, serde_json::Error>| {
        if matches {
            let again = again(object).unwrap_or_else(|error| panic!("{what}: {kind}: {error}"));
            assert_eq!(&again, object, "{what}: {kind} is not what the API has");
            known = true;
        }
    };
    macro_rules! kinds {
        ($($of:ty),*) => {
            $(with(<$of>::KIND == kind && <$of>::API_VERSION == version, again::<$of>);)*
        };
    }
    kinds!(
        ClusterRole,
        ClusterRoleBinding,
        ConfigMap,
        DaemonSet,
        Deployment,
        HorizontalPodAutoscaler,
        Ingress,
        IngressClass,
        Namespace,
        NetworkPolicy,
        PodDisruptionBudget,
        Role,
        RoleBinding,
        Secret,
        Service,
        ServiceAccount
    );
    let operators = [
        "monitoring.coreos.com/v1",
        "cert-manager.io/v1",
        "metallb.io/v1beta1",
    ];
    assert!(
        known || operators.contains(&version),
        "{what}: {version} {kind} is not known here"
    );
}

fn again<T: Resource + DeserializeOwned + Serialize + DeepMerge>(
    object: &Value,
) -> Result<Value, serde_json::Error> {
    serde_json::from_value::<T>(object.clone()).and_then(serde_json::to_value)
}

#[test]
fn every_variant_is_what_the_api_has() {
    for (name, values) in VARIANTS {
        let rendered = variant(values);
        assert!(rendered.0.len() > 3, "{name} has objects");
        for object in &rendered.0 {
            compare(name, object);
        }
    }
}

#[test]
fn every_object_says_what_it_belongs_to() {
    for (name, values) in VARIANTS {
        let rendered = variant(values);
        let mut seen = Vec::new();
        for object in &rendered.0 {
            let metadata = &object["metadata"];
            let labels = &metadata["labels"];
            assert_eq!(
                labels["app.kubernetes.io/instance"], "web",
                "{name}: {object}"
            );
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{name}");
            let cluster = ["ClusterRole", "ClusterRoleBinding", "IngressClass"];
            let cluster = cluster.iter().any(|kind| object["kind"] == *kind);
            assert_eq!(metadata["namespace"].is_null(), cluster, "{name}: {object}");
            let id = format!(
                "{} {}/{}",
                object["kind"], metadata["namespace"], metadata["name"]
            );
            assert!(!seen.contains(&id), "{name} has {id} twice");
            seen.push(id);
        }
    }
}

/// Names that YAML would take for numbers or truths, and numbers that helm would write with an exponent.
#[test]
fn text_stays_text_and_numbers_stay_whole() {
    let values = json!({
        "nameOverride": "123",
        "fullnameOverride": "456",
        "ingressClass": {"name": "1e3", "controller": "yes.example/1"},
        "watchNamespaces": ["1", "true"],
        "defaultTlsSecret": "2/3",
        "serviceAccount": {"name": "7"},
        "service": {"loadBalancerClass": "no"},
        "priorityClassName": "on",
        "topologySpread": [{"topologyKey": "off"}],
        "pluginCache": {"sizeLimit": "1000"},
        "runAsUser": 1_000_660_000_u64,
        "replicas": 1_000_000,
        "config": {"max-body": 10_000_000, "shared-plugin-namespaces": ["5"]},
        "podLabels": {"a": "1"},
        "metrics": {"serviceMonitor": {"enabled": true}, "dashboard": {"enabled": true}},
    });
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, values.to_string()).expect("a file");
    let rendered = Rendered::with(&[&file.display().to_string()]);
    for object in &rendered.0 {
        compare("odd names", object);
    }
    assert_eq!(
        rendered.pod()["securityContext"]["runAsUser"],
        1_000_660_000
    );
    assert_eq!(rendered.flag("--max-body").as_deref(), Some("10000000"));
    assert_eq!(
        rendered.flag("--watch-namespace").as_deref(),
        Some("1,true")
    );
    assert_eq!(rendered.only("IngressClass")["metadata"]["name"], "1e3");
}

#[test]
fn a_mistake_would_be_found() {
    let service = Rendered::with(&[]).only("Service").clone();
    for (pointer, value) in [
        ("/spec/externalTrafficPolcy", "Local"),
        ("/spec/ports/0/nodeport", "30080"),
    ] {
        let (parent, key) = pointer.rsplit_once('/').expect("a parent");
        let mut wrong = service.clone();
        wrong.pointer_mut(parent).expect("it is there")[key] = value.into();
        assert_ne!(
            again::<Service>(&wrong).expect("it is read"),
            wrong,
            "{pointer}"
        );
    }
    let mut wrong = service;
    wrong["spec"]["ports"][0]["port"] = "http".into();
    again::<Service>(&wrong).expect_err("a number");
}

#[test]
fn files_of_manifests_are_read_one_by_one() {
    assert_eq!(documents("a: 1\n---\n# nothing\n---\nb: 2\n").len(), 2);
}
