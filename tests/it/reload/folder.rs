//! The folder of manifests: whatever programs do to files there is noticed.

use harness::{Gateway, Upstream, ingress, upstream};

fn rule(name: &str) -> String {
    let host = format!("{name}.test");
    let object = ingress(name).host(&host).path("/", "svc", 80).object();
    object.0.to_string()
}

async fn start() -> (Gateway, Upstream) {
    let up = upstream().start().await;
    (crate::in_front_of(&up).start().await, up)
}

#[tokio::test]
async fn a_config_map_that_swaps_its_link_is_noticed() {
    let (gw, _up) = start().await;
    // As the kubelet lays a ConfigMap out: file -> ..data/file, ..data -> ..version
    let mount = gw.folder().join("mount");
    let version = |name: &str, text: &str| {
        let folder = mount.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("web.yaml"), text).expect("a file");
    };
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, mount.join(at)).expect("a link");
    version("..1", &rule("one"));
    link("..1", "..data");
    link("..data/web.yaml", "web.yaml");
    gw.until_status("one.test", "/", 200).await;
    for (number, name) in [(2, "two"), (3, "three")] {
        version(&format!("..{number}"), &rule(name));
        link(&format!("..{number}"), "..data_tmp");
        std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("a swap");
        std::fs::remove_dir_all(mount.join(format!("..{}", number - 1))).expect("a folder");
        gw.until_status(&format!("{name}.test"), "/", 200).await;
        gw.until_status("one.test", "/", 404).await;
    }
}

#[tokio::test]
async fn a_linked_file_elsewhere_is_followed() {
    let (gw, _up) = start().await;
    let elsewhere = tempfile::TempDir::new().expect("a temporary folder");
    let file = elsewhere.path().join("linked.yaml");
    std::fs::write(&file, rule("one")).expect("a file");
    std::os::unix::fs::symlink(&file, gw.folder().join("link.yaml")).expect("a link");
    gw.until_status("one.test", "/", 200).await;
}

#[tokio::test]
async fn folders_that_are_moved_in_and_out_are_noticed() {
    let (gw, _up) = start().await;
    let elsewhere =
        tempfile::TempDir::new_in(gw.folder().parent().expect("a parent")).expect("a folder");
    let team = elsewhere.path().join("team");
    std::fs::create_dir_all(team.join("deep")).expect("a folder");
    std::fs::write(team.join("deep/one.yaml"), rule("one")).expect("a file");
    std::fs::rename(&team, gw.folder().join("team")).expect("the same file system");
    gw.until_status("one.test", "/", 200).await;
    std::fs::write(gw.folder().join("team/deep/two.yaml"), rule("two")).expect("a file");
    gw.until_status("two.test", "/", 200).await;
    std::fs::rename(gw.folder().join("team"), &team).expect("the same file system");
    gw.until_status("one.test", "/", 404).await;
    gw.until_status("two.test", "/", 404).await;
}

#[tokio::test]
async fn a_file_written_in_place_is_read_once_it_is_whole() {
    let (gw, _up) = start().await;
    let path = gw.folder().join("in-place.yaml");
    for name in ["one", "two", "three"] {
        std::fs::write(&path, rule(name)).expect("a file");
        gw.until_status(&format!("{name}.test"), "/", 200).await;
    }
    gw.until_status("one.test", "/", 404).await;
}

#[tokio::test]
async fn a_file_that_is_renamed_keeps_its_routes() {
    let (gw, _up) = start().await;
    gw.write("old.yaml", &rule("one"));
    gw.until_status("one.test", "/", 200).await;
    let (old, new) = (gw.folder().join("old.yaml"), gw.folder().join("new.yaml"));
    std::fs::rename(old, new).expect("a file");
    gw.write("marker.yaml", &rule("marker"));
    gw.until_status("marker.test", "/", 200).await;
    assert_eq!(gw.get("one.test", "/").await.status, 200);
}

#[tokio::test]
async fn of_one_object_in_two_files_the_first_counts() {
    let (gw, _up) = start().await;
    let twice = |host: &str| {
        let object = ingress("twice").host(host).path("/", "svc", 80).object();
        object.0.to_string()
    };
    gw.write("b.yaml", &twice("b.test"));
    gw.until_status("b.test", "/", 200).await;
    gw.write("a.yaml", &twice("aa.test"));
    gw.until_status("aa.test", "/", 200).await;
    assert_eq!(gw.get("b.test", "/").await.status, 404);
    let problem = gw.until_problem(&["twice", "b.yaml"]).await;
    assert_eq!(problem["severity"], "warning", "{problem}");
    gw.remove("a.yaml");
    gw.until_status("b.test", "/", 200).await;
}

#[tokio::test]
async fn old_forms_are_served() {
    let (gw, _up) = start().await;
    for (name, version) in [
        ("one", "extensions/v1beta1"),
        ("two", "networking.k8s.io/v1beta1"),
    ] {
        gw.write(
            &format!("{name}.yaml"),
            &format!(
                "apiVersion: {version}\nkind: Ingress\nmetadata: {{name: {name}}}\nspec:\n  ingressClassName: portcullis\n  rules:\n  - host: {name}.test\n    http:\n      paths:\n      - {{path: /, backend: {{serviceName: svc, servicePort: 80}}}}\n"
            ),
        );
        gw.until_status(&format!("{name}.test"), "/", 200).await;
        let note = gw
            .until_problem(&[&format!("\"{name}\""), "networking.k8s.io/v1"])
            .await;
        assert_eq!(note["severity"], "note", "{note}");
    }
}

#[tokio::test]
async fn files_in_sub_folders_and_lists_and_json_are_read() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let rule = |name: &str| {
        ingress(name)
            .host(&format!("{name}.test"))
            .path("/", "svc", 80)
            .object()
            .0
    };
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [rule("one"), rule("two")]});
    gw.write("deep/er/list.json", &list.to_string());
    gw.write("deep/other.yml", &rule("three").to_string());
    gw.write("deep/.hidden.yaml", &rule("hidden").to_string());
    gw.write("deep/readme.txt", &rule("text").to_string());
    for host in ["one.test", "two.test", "three.test"] {
        gw.until_status(host, "/", 200).await;
    }
    for host in ["hidden.test", "text.test"] {
        assert_eq!(gw.get(host, "/").await.status, 404, "{host}");
    }
}
