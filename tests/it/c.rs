//! A filter in C, on the same interface as any: `plugins/c-headers`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use harness::{
    GatewayBuilder, Reply, Upstream, gateway, get, ingress, plugin, portcullis_command, run, until,
    upstream,
};
use serde_json::json;
use tempfile::TempDir;
use wit_bindgen_core::{Files, wit_parser::Resolve};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/c-headers")
}

/// What `wit-bindgen c` writes for the world of the filter.
fn bindings(out: &Path) {
    let mut resolve = Resolve::default();
    let filter = folder().join("../../wit/filter.wit");
    resolve.push_path(filter).expect("our interface");
    let (package, _) = resolve
        .push_path(folder().join("world.wit"))
        .expect("a package");
    let world = resolve
        .select_world(&[package], None)
        .expect("its one world");
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator
        .generate(&mut resolve, world, &mut files)
        .expect("bindings");
    for (name, content) in files.iter() {
        std::fs::write(out.join(name), content).expect("a temporary folder");
    }
}

/// The filter as its Makefile builds it, from this source.
fn built(source: &str) -> Vec<u8> {
    let out = TempDir::new().expect("a temporary folder");
    let path = out.path();
    std::fs::write(path.join("filter.c"), source).expect("a temporary folder");
    bindings(path);
    let module = path.join("module.wasm");
    let variable = |name: &str, path: &Path| format!("{name}={}", path.display());
    let outcome = run(Command::new("make")
        .arg("--directory")
        .arg(folder())
        .arg(variable("OUT", path))
        .arg(variable("SOURCE", &path.join("filter.c")))
        .arg(&module));
    let hint = "the packages for filters in C are those of `scripts/setup test`";
    assert_eq!(outcome.code, 0, "{}\n{hint}", outcome.stderr);
    let component = path.join("filter.wasm");
    let mut build = portcullis_command();
    build
        .args(["plugin", "build"])
        .arg(&module)
        .arg("--output")
        .arg(&component);
    let outcome = run(&mut build);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    std::fs::read(component).expect("the component")
}

fn source() -> String {
    std::fs::read_to_string(folder().join("c-headers.c")).expect("the source")
}

/// A gateway with this code before one backend.
fn through(code: &[u8], config: &str, up: &Upstream) -> GatewayBuilder {
    let web = ingress("web")
        .annotation("portcullis.dev/filters", "c-headers")
        .annotation("portcullis.dev/filter.c-headers", config)
        .host("a.test")
        .path("/", "svc", 80);
    gateway()
        .manifest(web)
        .service("svc", 80, &[up])
        .plugin(plugin("c-headers", code))
}

fn c_headers() -> &'static [u8] {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    CODE.get_or_init(|| built(&source()))
}

#[tokio::test]
async fn a_filter_in_c_sets_fields_answers_and_logs() {
    let up = upstream()
        .answer(|_| Reply::echo().header("X-Powered-By", "magic"))
        .start()
        .await;
    let config = "{team: cheese, deny: x-internal}";
    let gw = through(c_headers(), config, &up).start().await;
    let mut connection = gw.connect().await;
    for _ in 0..50 {
        let request = get("/").host("a.test").header("X-Team", "mine");
        let answer = connection.ask(&request).await;
        assert_eq!(answer.saw().all("x-team"), ["cheese"]);
        assert_eq!(answer.header("x-team"), Some("cheese"));
        assert_eq!(answer.header("x-powered-by"), None);
        let request = get("/").host("a.test").header("X-Internal", "1");
        let answer = connection.ask(&request).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (403, "nobody may send that\n")
        );
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("x-team"), Some("cheese"));
    }
    assert_eq!(up.seen().len(), 50);
    assert!(gw.log().iter().any(|line| line.contains("refused")));
    let answer = gw.http2().await.get("a.test", "/").await;
    assert_eq!(answer.saw().all("x-team"), ["cheese"]);
}

#[tokio::test]
async fn a_filter_in_c_needs_no_grant_and_no_system() {
    let up = upstream().start().await;
    let gw = through(c_headers(), "{team: a}", &up).start().await;
    let plugins = gw.plugins().await;
    let own = plugins
        .iter()
        .find(|plugin| plugin["name"] == "default/c-headers");
    let own = own.unwrap_or_else(|| panic!("{plugins:?}"));
    let hooks: Vec<_> = own["hooks"].as_array().expect("hooks").iter().collect();
    assert_eq!(hooks, ["request-hook", "response-hook"], "{own}");
    assert_eq!(own["imports"], json!([]));
    let code = String::from_utf8_lossy(c_headers());
    assert!(!code.contains("wasi"), "it imports a system");
}

#[tokio::test]
async fn a_filter_in_c_refuses_what_it_does_not_take() {
    let up = upstream().start().await;
    for (config, place) in [
        ("{team: a, deny: host}", "/deny"),
        ("{team: \"A B\"}", "/team"),
        ("{}", "team"),
    ] {
        let gw = through(c_headers(), config, &up).start().await;
        let answer = gw.get("a.test", "/").await;
        assert_eq!(
            (answer.status, answer.reason()),
            (503, Some("plugin-config")),
            "{config}"
        );
        let problems = gw.admin_get("/api/v1/problems").await.text();
        assert!(problems.contains(place), "{problems}");
    }
    assert_eq!(up.seen().len(), 0);
}

#[tokio::test]
async fn a_filter_in_c_that_keeps_what_it_was_lent_is_stopped() {
    let forgotten = "portcullis_filter_types_request_drop_borrow(request);";
    let source = source();
    assert_eq!(source.matches(forgotten).count(), 2);
    let up = upstream().start().await;
    let code = built(&source.replacen(forgotten, "", 1));
    let gw = through(&code, "{team: a}", &up).start().await;
    for _ in 0..2 {
        let answer = gw.get("a.test", "/").await;
        assert_eq!((answer.status, answer.reason()), (503, Some("plugin-trap")));
    }
    until("the log says why", async || {
        let log = gw.log();
        log.iter().any(|line| line.contains("borrow"))
    })
    .await;
    assert_eq!(up.seen().len(), 0);
}
