//! The page on migrating says which keys of ingress-nginx work: the program has the last word.

use harness::portcullis;

/// Keys in a row of the page's table, and what the page says of them. A key with `*` stands for those listed here.
fn rows(page: &str) -> Vec<(String, String)> {
    let table = page
        .lines()
        .skip_while(|line| !line.starts_with("| keys |"))
        .skip(2);
    let mut rows = Vec::new();
    for line in table.take_while(|line| line.starts_with('|')) {
        let mut cells = line.trim_matches('|').split('|');
        let (keys, what) = (cells.next().expect("keys"), cells.next().expect("what"));
        for key in keys.split('`').skip(1).step_by(2) {
            let known = STARS.iter().find(|(star, _)| *star == key);
            let all = known.map_or_else(|| vec![key], |(_, all)| all.to_vec());
            assert!(
                all.iter().all(|key| !key.contains('*')),
                "{key} stands for what?"
            );
            rows.extend(
                all.into_iter()
                    .map(|key| (key.to_owned(), what.trim().to_owned())),
            );
        }
    }
    rows
}

const STARS: [(&str, &[&str]); 6] = [
    (
        "session-cookie-*",
        &[
            "session-cookie-name",
            "session-cookie-path",
            "session-cookie-max-age",
            "session-cookie-samesite",
        ],
    ),
    (
        "auth-*",
        &["auth-url", "auth-type", "auth-secret", "auth-tls-secret"],
    ),
    ("cors-*", &["cors-allow-origin", "cors-allow-methods"]),
    ("mirror-*", &["mirror-target"]),
    ("proxy-ssl-*", &["proxy-ssl-secret", "proxy-ssl-verify"]),
    ("upstream-*", &["upstream-vhost", "upstream-hash-by"]),
];

#[tokio::test]
async fn the_page_on_migrating_knows_which_keys_work() {
    let rows = rows(&super::read("../docs/migrating.md"));
    assert!(rows.len() > 45, "{rows:?}");
    let folder = tempfile::TempDir::new().expect("a folder");
    for (key, _) in &rows {
        let text = format!(
            "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {key}, annotations: \
             {{nginx.ingress.kubernetes.io/{key}: x}}}}, spec: {{ingressClassName: nginx, defaultBackend: {{service: {{name: x, port: {{number: 80}}}}}}}}}}\n"
        );
        std::fs::write(folder.path().join(format!("{key}.yaml")), text).expect("a file");
    }
    let folder = folder.path().display().to_string();
    let nginx = [
        "check",
        "--ingress-class",
        "nginx",
        "--controller",
        "k8s.io/ingress-nginx",
    ];
    let outcome = portcullis(&[&nginx[..], &[&folder]].concat()).await;
    let printed = outcome.stdout;
    for (key, what) in rows {
        let unknown = printed.lines().any(|line| {
            line.contains(&format!("[nginx.ingress.kubernetes.io/{key}]"))
                && line.contains("is not known")
        });
        let works = what.starts_with("work");
        assert!(
            works || what.starts_with("not served") || what.starts_with("never"),
            "{key}: {what}"
        );
        assert_ne!(unknown, works, "{key} {what}:\n{printed}");
    }
}
