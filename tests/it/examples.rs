//! The filters in `plugins/` that are examples, as components over real sockets: built and loaded as anyone's.

mod body_rewrite;
mod headers;
mod jwt_auth;
mod tokens;

use std::{path::Path, sync::OnceLock};

use harness::{
    GatewayBuilder, PluginBuilder, Upstream, gateway, ingress, portcullis_command, run, target,
};
use serde_json::Value;

/// An example as a component, by the program's own command. What it is built from is where the filters that ship were
/// built, so that the standard library is built once.
fn built(name: &str) -> Vec<u8> {
    let plugins = target().join("plugins");
    let file = plugins.join(format!("{name}.component.wasm"));
    let mut build = portcullis_command();
    build
        .args(["plugin", "build"])
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../plugins")
                .join(name),
        )
        .arg("--output")
        .arg(&file)
        .env("CARGO_TARGET_DIR", &plugins);
    let outcome = run(&mut build);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    std::fs::read(file).expect("the component")
}

/// The example `headers`.
pub(crate) fn headers() -> &'static [u8] {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    CODE.get_or_init(|| built("headers"))
}

/// The example `body-rewrite`.
pub(crate) fn body_rewrite() -> &'static [u8] {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    CODE.get_or_init(|| built("body-rewrite"))
}

/// The example `jwt-auth`.
pub(crate) fn jwt_auth() -> &'static [u8] {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    CODE.get_or_init(|| built("jwt-auth"))
}

/// A gateway that sends everything for `a.test` through a filter to one backend.
fn through(plugin: PluginBuilder, name: &str, config: &Value, up: &Upstream) -> GatewayBuilder {
    let web = ingress("web")
        .annotation("portcullis.dev/filters", name)
        .annotation(
            &format!("portcullis.dev/filter.{name}"),
            &config.to_string(),
        )
        .host("a.test")
        .path("/", "svc", 80);
    gateway()
        .manifest(web)
        .service("svc", 80, &[up])
        .plugin(plugin)
}
