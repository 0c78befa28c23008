//! What helm tells after an installation.

use harness::{run, tool};

use super::deploy;

/// The notes for these values.
fn notes(values: &[&str]) -> String {
    let mut helm = tool("helm");
    helm.args(["install", "web"]).arg(deploy("helm/portcullis"));
    helm.args(["--namespace", "edge", "--dry-run=client"]);
    // No cluster of this machine has a part in it.
    helm.env("KUBECONFIG", "/dev/null");
    for value in values {
        helm.args(["--set", value]);
    }
    let outcome = run(&mut helm);
    assert_eq!(outcome.code, 0, "{values:?}: {}", outcome.stderr);
    let (_, notes) = outcome.stdout.split_once("NOTES:\n").expect("notes");
    notes.to_owned()
}

#[test]
fn an_install_for_the_cluster_says_that_it_may_read_every_secret() {
    let notes = notes(&[]);
    for words in [
        "SECRETS: this install lists the Secrets of type kubernetes.io/tls of ALL namespaces",
        "may read every Secret of the cluster",
        "helm upgrade web CHART --namespace edge --reuse-values --set 'watchNamespaces={shop,blog}'",
        "port-forward deployment/web-portcullis 9000",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    assert!(!notes.contains("PROXY PROTOCOL"), "{notes}");
}

#[test]
fn a_confined_one_says_where() {
    let confined = notes(&["watchNamespaces={shop,blog}", "rbac.ingressClasses=false"]);
    assert!(!confined.contains("SECRETS"), "{confined}");
    for words in [
        "in the namespaces shop, blog",
        "may not read IngressClasses",
    ] {
        assert!(confined.contains(words), "{words}: {confined}");
    }
    let none = notes(&["rbac.create=false"]);
    assert!(none.contains("No roles were made"), "{none}");
}

#[test]
fn a_proxy_header_from_anyone_is_warned_of() {
    let open = notes(&["config.proxy-protocol=true"]);
    assert!(
        open.contains("anyone who reaches the ports may claim any address"),
        "{open}"
    );
    let named = notes(&[
        "config.proxy-protocol=true",
        "config.trusted-proxies={10.0.0.0/8}",
    ]);
    assert!(!named.contains("PROXY PROTOCOL"), "{named}");
}
