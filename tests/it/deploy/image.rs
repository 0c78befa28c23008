//! Image, chart and program agree on versions, ports and user.

use super::{Rendered, documents, read};

/// The values of an instruction of the Dockerfile.
fn instructions<'a>(dockerfile: &'a str, name: &str) -> Vec<&'a str> {
    let lines = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix(name));
    lines.filter_map(|rest| rest.strip_prefix(' ')).collect()
}

/// A value of the workspace's manifest.
fn workspace(key: &str) -> String {
    let manifest = read("../Cargo.toml");
    let mut lines = manifest.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.trim().strip_prefix('='));
    value.expect("a value").trim().trim_matches('"').to_owned()
}

#[test]
fn versions_are_the_programs() {
    let version = workspace("version");
    let chart = documents(&read("helm/portcullis/Chart.yaml")).remove(0);
    assert_eq!(chart["appVersion"], version.as_str());
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains(&format!("image.version=\"{version}\"")));
    assert!(dockerfile.contains(&format!("FROM rust:{}-", workspace("rust-version"))));
    for page in ["../README.md", "helm/portcullis/README.md", "Dockerfile"] {
        assert!(
            read(page).contains(&format!("portcullis:{version}")),
            "{page}"
        );
    }
}

#[test]
fn ports_and_user_are_the_charts() {
    let dockerfile = read("Dockerfile");
    let rendered = Rendered::with(&[]);
    let ports = rendered.container()["ports"].as_array().expect("ports");
    let ports: Vec<_> = ports
        .iter()
        .map(|port| port["containerPort"].to_string())
        .collect();
    assert_eq!(instructions(&dockerfile, "EXPOSE"), [ports.join(" ")]);
    let user = &rendered.pod()["securityContext"];
    let user = format!("{}:{}", user["runAsUser"], user["runAsGroup"]);
    assert_eq!(instructions(&dockerfile, "USER"), [user]);
    // The chart gives arguments only.
    assert!(rendered.container()["command"].is_null());
    assert_eq!(
        instructions(&dockerfile, "ENTRYPOINT"),
        ["[\"/usr/local/bin/portcullis\"]"]
    );
}
