//! What plugs in from outside, as far as it speaks to the gateway.

use harness::{ingress, secret, self_signed, upstream};
use serde_json::{Value, json};

use super::variant;

/// cert-manager answers challenges through an Ingress of its own, while the host redirects to https and
/// a filter closes everything.
#[tokio::test]
async fn the_solver_of_cert_manager_is_reached() {
    let site = ingress("site")
        .annotation("portcullis.dev/filters", "not-there")
        .annotation("cert-manager.io/cluster-issuer", "letsencrypt")
        .host("shop.example.com")
        .path("/", "site", 80)
        .tls(&["shop.example.com"], "shop-tls");
    let (backend, solver) = (upstream().start().await, upstream().start().await);
    let gw = harness::gateway()
        .manifest(site)
        .manifest(secret("shop-tls", &self_signed(&["shop.example.com"])))
        .service("site", 80, &[&backend])
        .service("cm-acme-http-solver-x7k2p", 8089, &[&solver])
        .start()
        .await;
    gw.until_status("shop.example.com", "/", 308).await;
    // Exact since cert-manager 1.18, ImplementationSpecific before.
    for (kind, token) in [
        ("Exact", "/a-Token_1"),
        ("ImplementationSpecific", "/b-Token_2"),
    ] {
        let path = format!("/.well-known/acme-challenge{token}");
        let rules = ingress("cm-acme-http-solver-9qwvd")
            .annotation(
                "nginx.ingress.kubernetes.io/whitelist-source-range",
                "0.0.0.0/0,::/0",
            )
            .host("shop.example.com")
            .typed(kind, &path, "cm-acme-http-solver-x7k2p", 8089)
            .object()
            .set(
                "metadata/labels",
                json!({"acme.cert-manager.io/http01-solver": "true"}),
            );
        gw.apply(rules.clone());
        gw.until_status("shop.example.com", &path, 200).await;
        assert_eq!(
            solver.seen().last().map(|seen| seen.target.clone()),
            Some(path.clone())
        );
        assert_eq!(gw.get("shop.example.com", "/shop").await.status, 308);
        // The challenge is over: its path is the site's again, still without a redirect.
        gw.delete(rules);
        gw.until_status("shop.example.com", &path, 503).await;
    }
    assert!(backend.seen().is_empty());
}

/// A load balancer that speaks the PROXY protocol, with the flags of the example's values.
#[tokio::test]
async fn only_named_load_balancers_say_who_the_client_is() {
    let values = variant(&["examples/integrations/proxy-protocol.yaml"]);
    assert!(values.arguments().contains(&"--proxy-protocol".to_owned()));
    assert_eq!(
        values.flag("--trusted-proxies").as_deref(),
        Some("192.0.2.2/32,192.0.2.3/32")
    );
    for (trusted, passes) in [("127.0.0.0/8", true), ("192.0.2.2/32", false)] {
        let up = upstream().start().await;
        let gw = super::super::in_front_of(&up)
            .switch("--proxy-protocol")
            .flag("--trusted-proxies", trusted)
            .launch()
            .await;
        let answer = harness::within("an answer or an end", asked(&gw)).await;
        assert_eq!(
            answer.starts_with("HTTP/1.1 200"),
            passes,
            "{trusted}: {answer}"
        );
        if passes {
            assert_eq!(up.only().all("x-forwarded-for"), ["203.0.113.7"]);
        }
    }
}

/// A request with the header that HAProxy sends, until something serves it or the connection ends.
async fn asked(gw: &harness::Gateway) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    harness::until("the first configuration", async || {
        gw.admin_get("/readyz").await.status == 200
    })
    .await;
    let mut socket = tokio::net::TcpStream::connect(gw.http())
        .await
        .expect("a connection");
    let request = "PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\nGET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    socket
        .write_all(request.as_bytes())
        .await
        .expect("an open connection");
    let mut answer = Vec::new();
    // A connection that is closed unread may end with a reset.
    let _ended = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_cas_of_private_registries_are_mounted_whole() {
    for (value, kind, name) in [
        ("fetchCa.configMap=ca", "configMap", "name"),
        ("fetchCa.secret=ca", "secret", "secretName"),
    ] {
        let rendered = variant(&[value, "fetchCa.key=all.pem"]);
        let file = rendered.flag("--fetch-ca").expect("the flag");
        let (folder, key) = file.rsplit_once('/').expect("a path");
        assert_eq!(key, "all.pem");
        let of_it = |list: &Value| {
            let list = list.as_array().expect("a list").clone();
            let found = list.into_iter().find(|one| one["name"] == "fetch-ca");
            found.expect("the CAs")
        };
        let mount = of_it(&rendered.container()["volumeMounts"]);
        assert_eq!(mount["mountPath"], folder);
        // A file alone would not change with its object.
        assert!(mount["subPath"].is_null() && mount["readOnly"] == true);
        assert_eq!(of_it(&rendered.pod()["volumes"])[kind][name], "ca");
    }
    assert_eq!(variant(&[]).flag("--fetch-ca"), None);
}
