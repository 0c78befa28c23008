//! Claims about where code is, each a test.

use super::*;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn oci(reference: &str) -> Result<Image, Wrong> {
    image(&reference.replace("DIGEST", DIGEST))
}

#[test]
fn an_image_is_named_by_its_digest() {
    for (reference, registry, repository) in [
        ("ghcr.io/a/geo@sha256:DIGEST", "ghcr.io", "a/geo"),
        ("GHCR.io/a/geo:1.2@sha256:DIGEST", "ghcr.io", "a/geo"),
        ("localhost:5000/geo@sha256:DIGEST", "localhost:5000", "geo"),
        ("[::1]:5000/geo@sha256:DIGEST", "[::1]:5000", "geo"),
        (
            "localhost/a-b/c_d.e@sha256:DIGEST",
            "localhost",
            "a-b/c_d.e",
        ),
    ] {
        let image = oci(reference).unwrap();
        let found = (image.registry.as_str(), image.repository.as_str());
        assert_eq!(found, (registry, repository), "{reference}");
        assert_eq!(image.digest, DIGEST);
    }
    for (reference, words) in [
        ("", "empty"),
        ("ghcr.io/a/geo:1.2", "no digest"),
        ("oci://ghcr.io/a/geo@sha256:DIGEST", "scheme"),
        ("ghcr.io/a/geo@sha256:abc", "SHA-256"),
        ("ghcr.io/a/geo@sha512:DIGEST", "SHA-256"),
        ("geo@sha256:DIGEST", "no registry"),
        ("a/geo@sha256:DIGEST", "registry"),
        ("u@ghcr.io/geo@sha256:DIGEST", "SHA-256"),
        ("ghcr.io/../geo@sha256:DIGEST", "repository"),
        ("ghcr.io/a//geo@sha256:DIGEST", "repository"),
        ("ghcr.io/A/geo@sha256:DIGEST", "repository"),
        ("ghcr.io?x/a/geo@sha256:DIGEST", "registry"),
    ] {
        let wrong = oci(reference).unwrap_err();
        assert!(wrong.message.contains(words), "{reference}: {wrong:?}");
        assert_eq!(wrong.field, "spec.source.oci");
    }
}

#[test]
fn an_address_is_https_but_on_this_machine() {
    for url in [
        "https://a.example/geo.wasm?x=y",
        "http://127.0.0.1:80/geo.wasm",
        "http://localhost/x",
        "http://[::1]:8/x",
    ] {
        assert_eq!(checked(url).as_deref(), Ok(url));
    }
    for (url, words) in [
        ("http://a.example/geo.wasm", "no https"),
        ("http://127.0.0.1.a.example/x", "no https"),
        ("ftp://a.example/geo.wasm", "no https"),
        ("https://u:p@a.example/geo.wasm", "login"),
        ("http://127.0.0.1@a.example/x", "login"),
        ("https:///geo.wasm", "no URL"),
        ("https://a.example/ geo.wasm", "no URL"),
    ] {
        let wrong = checked(url).unwrap_err();
        assert!(wrong.message.contains(words), "{url}: {wrong:?}");
    }
}

#[test]
fn the_login_of_the_longest_place_counts() {
    let pair = STANDARD.encode("team:secret:1");
    let config = serde_json::json!({"auths": {
        "https://ghcr.io/v2/": {"username": "all", "password": "1"},
        "ghcr.io/team": {"auth": pair},
        "ghcr.io/teams": {"username": "other", "password": "3"},
        "https://index.docker.io/v1/": {"username": "hub", "password": "2"},
        "bad.example": {"auth": "%"},
    }});
    let config = config.to_string();
    let of = |reference: &str| {
        let image = oci(&format!("{reference}@sha256:DIGEST")).unwrap();
        login(config.as_bytes(), &image).map(|login| format!("{}:{}", login.user, login.password))
    };
    assert_eq!(of("ghcr.io/team/geo").as_deref(), Ok("team:secret:1"));
    assert_eq!(of("ghcr.io/other/geo").as_deref(), Ok("all:1"));
    assert_eq!(of("docker.io/a/geo").as_deref(), Ok("hub:2"));
    assert!(of("bad.example/geo").unwrap_err().contains("no user"));
    assert!(of("b.example/geo").unwrap_err().contains("b.example"));
    let image = oci("ghcr.io/geo@sha256:DIGEST").unwrap();
    assert!(login(b"{", &image).unwrap_err().contains("no JSON"));
    let told = format!("{:?}", login(config.as_bytes(), &image).unwrap());
    assert!(!told.contains("all"), "{told}");
}

#[test]
fn a_config_map_keeps_code_only() {
    let code = b"\0asm and so on and on and on";
    let text = STANDARD.encode(code);
    let (one, other) = text.split_at(12);
    let object = serde_json::json!({
        "metadata": {"name": "code"},
        "data": {"text": format!("{one}\n{other}\n"), "note": "hello", "bad": "AGFzbQ!"},
        "binaryData": {"binary": text, "image": STANDARD.encode("\u{89}PNG")},
    });
    let map = ConfigMap::build(serde_json::from_value(object).unwrap(), None);
    let kept = |key: &str| map.keys[key].as_deref();
    assert_eq!(
        (kept("text"), kept("binary")),
        (Some(&code[..]), Some(&code[..]))
    );
    assert_eq!(
        (kept("note"), kept("bad"), kept("image")),
        (None, None, None)
    );
}
