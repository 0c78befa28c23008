//! The examples: manifests without a problem, and what the tutorial cannot show with curl alone.

use std::{collections::BTreeSet, path::PathBuf};

use harness::{get, portcullis, self_signed};
use serde_json::Value;

use super::{api::compare, deploy, documents, walk::serving};

/// Every file of manifests, and those that hold Kubernetes objects.
fn manifests() -> Vec<PathBuf> {
    let folders = ["examples/cheeses", "examples/integrations"].map(deploy);
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("a folder"));
    let paths = entries.map(|entry| entry.expect("a file").path());
    let mut yaml: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    yaml.sort();
    yaml
}

#[test]
fn every_manifest_is_what_the_api_has() {
    let mut objects = 0;
    for path in manifests() {
        let text = std::fs::read_to_string(&path).expect("a manifest");
        for object in documents(&text)
            .iter()
            .filter(|object| object["kind"].is_string())
        {
            compare(&path.display().to_string(), object);
            objects += usize::from(object["apiVersion"].is_string());
        }
    }
    assert!(objects > 15, "{objects}");
}

#[tokio::test]
async fn check_has_nothing_but_notes_on_what_the_cluster_has() {
    let folder = deploy("examples/cheeses").display().to_string();
    let outcome = portcullis(&["check", "--format", "json", &folder]).await;
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    let problems: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    for problem in problems["problems"].as_array().expect("problems") {
        assert_eq!(problem["severity"], "note", "{problem}");
        let message = problem["message"].as_str().expect("a message");
        let of_cluster = ["has no EndpointSlice", "is missing", "no IngressClass"];
        assert!(
            of_cluster.iter().any(|words| message.contains(words)),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_session_of_the_tutorial_stays_with_its_pod() {
    let (gw, pods) = serving(&self_signed(&["secure.example.com"])).await;
    let pods = &pods[2..];
    let first = gw.get("sticky.example.com", "/").await;
    let cookie = first
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next());
    let cookie = cookie.expect("a cookie").to_owned();
    pods.iter().for_each(harness::Upstream::forget);
    for _ in 0..6 {
        let request = get("/")
            .host("sticky.example.com")
            .header("Cookie", &cookie);
        assert_eq!(gw.send(&request).await.status, 200);
    }
    let counts: BTreeSet<usize> = pods.iter().map(|pod| pod.seen().len()).collect();
    assert_eq!(counts, BTreeSet::from([0, 6]));
}

#[tokio::test]
async fn the_canary_of_the_tutorial_takes_about_its_share() {
    let (gw, _pods) = serving(&self_signed(&["secure.example.com"])).await;
    let mut connection = gw.connect().await;
    let mut stilton = 0;
    for _ in 0..400 {
        let answer = connection.ask(&get("/").host("canary.example.com")).await;
        stilton += usize::from(answer.text() == "stilton\n");
    }
    // A tenth; outside of this about once in a hundred million runs.
    assert!((6..=90).contains(&stilton), "{stilton} of 400");
}

#[tokio::test]
async fn explain_decides_by_the_tutorials_files() {
    let folder = deploy("examples/cheeses").display().to_string();
    let url = "http://cheeses.example.com/cheddar/mild";
    let outcome = portcullis(&["explain", "--manifests", &folder, url]).await;
    assert_eq!(outcome.code, 0);
    assert!(
        outcome.stdout.contains("path Prefix /cheddar"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stdout.contains("default/paths"),
        "{}",
        outcome.stdout
    );
}
