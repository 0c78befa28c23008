//! How the API server is found, and what it allows.

use harness::{gateway, portcullis, until};

use super::*;

#[tokio::test]
async fn an_unreadable_kubeconfig_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "clusters: 7").expect("a file");
    let missing = folder.path().join("missing").display().to_string();
    for path in [missing, wrong.display().to_string()] {
        let run = portcullis(&[
            "run",
            "--kubeconfig",
            &path,
            "--admin=127.0.0.1:0",
            "--http=127.0.0.1:0",
            "--https=127.0.0.1:0",
        ])
        .await;
        let said = run.stdout + &run.stderr;
        assert_eq!(run.code, 1, "{said}");
        assert!(
            said.contains(&path) && said.contains("cannot be used"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_a_problem_that_names_the_rule() {
    for (resource, group) in [
        ("secrets", ""),
        ("plugins", "portcullis.dev"),
        ("endpointslices", "discovery.k8s.io"),
    ] {
        let (api, _up) = routed().await;
        api.deny("*", resource, None);
        let gw = gateway().cluster(&api).start().await;
        let rule = format!(
            "{{apiGroups: [\\\"{group}\\\"], resources: [{resource}], verbs: [get, list, watch]}}"
        );
        let problem = gw.until_problem(&[resource, &rule]).await;
        assert_eq!(problem["kind"], "Cluster");
        // The rest works.
        let status = if resource == "endpointslices" {
            503
        } else {
            200
        };
        assert_eq!(gw.get("a.test", "/").await.status, status);
        api.allow();
        gw.until_status("a.test", "/", 200).await;
        until("the problem is gone", async || {
            gw.problems().await.is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn without_the_definition_of_plugins_the_rest_works() {
    let (api, _up) = routed().await;
    api.without("plugins");
    let gw = gateway().cluster(&api).start().await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    gw.until_problem(&["plugins.portcullis.dev", "CustomResourceDefinition"])
        .await;
    api.install();
    until("the problem is gone", async || {
        gw.problems().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn nothing_is_answered_before_ingresses_are_known() {
    let api = api().await;
    api.deny("*", "ingresses", None);
    let gw = gateway().cluster(&api).launch().await;
    gw.until_problem(&["ingresses", "add to the ClusterRole"])
        .await;
    assert_eq!(gw.admin_get("/readyz").await.status, 503);
    assert!(
        tokio::net::TcpStream::connect(gw.http()).await.is_err(),
        "nobody listens yet"
    );
    api.allow();
    until("it is ready", async || {
        gw.admin_get("/readyz").await.status == 200
    })
    .await;
    assert_eq!(gw.get("a.test", "/").await.status, 404);
}
