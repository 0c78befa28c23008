//! The addresses of the nodes that pods run on: for gateways on the network of their hosts.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, api::ListParams};

use super::{server::Server, trouble::text};

/// The addresses of the nodes that ready pods with these labels run on: their external ones, else the internal ones.
pub(super) async fn find(
    server: &Server,
    (namespace, selector): &(String, String),
) -> Result<Vec<String>, String> {
    let pods: Api<Pod> = Api::namespaced(server.client.clone(), namespace);
    let wanted = ListParams::default().labels(selector);
    let pods = server.answer(pods.list(&wanted)).await;
    let pods = pods.map_err(|error| text(&error))?;
    let nodes: Api<Node> = Api::all(server.client.clone());
    let mut all = BTreeSet::new();
    for (name, own) in by_node(&pods.items) {
        let found = match server.answer(nodes.get_opt(&name)).await {
            Ok(node) => node.map(|node| of_node(&node)).unwrap_or_default(),
            // A pod tells the address of its node, too, if only that inside of the cluster.
            Err(kube::Error::Api(status)) if status.code == 403 => BTreeSet::new(),
            Err(error) => return Err(text(&error)),
        };
        all.extend(if found.is_empty() { own } else { found });
    }
    Ok(all.into_iter().collect())
}

/// The nodes of pods that are ready, with what the pods say of their addresses.
fn by_node(pods: &[Pod]) -> BTreeMap<String, BTreeSet<String>> {
    let mut nodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| is_ready(pod)) {
        let name = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let own = nodes.entry(name.unwrap_or_default()).or_default();
        let status = pod.status.as_ref();
        own.extend(status.and_then(|status| status.host_ip.clone()));
    }
    nodes.remove("");
    nodes
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref());
    let mut conditions = conditions.unwrap_or_default().iter();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|one| one.type_ == "Ready" && one.status == "True")
}

fn of_node(node: &Node) -> BTreeSet<String> {
    let addresses = node.status.as_ref().and_then(|s| s.addresses.as_deref());
    let addresses = addresses.unwrap_or_default();
    let of = |kind: &str| -> BTreeSet<String> {
        let own = addresses.iter().filter(|address| address.type_ == kind);
        own.map(|address| address.address.clone()).collect()
    };
    let outside = of("ExternalIP");
    if outside.is_empty() {
        of("InternalIP")
    } else {
        outside
    }
}
