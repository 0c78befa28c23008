//! Guests in WebAssembly text, made into components: a skeleton that does everything right, and
//! places where a test puts what it wants to see.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The pieces of a guest. Each body is that of a core function.
pub(crate) struct Guest {
    /// Lines of its world besides `plugin`.
    pub(crate) world: &'static str,
    /// Imports, functions and data of its own.
    pub(crate) own: String,
    /// `(param $config i32) (param $req i32) (result i32)`; none exports no request hook.
    pub(crate) on_request: Option<String>,
    /// `(param $config i32) (param $req i32) (param $resp i32) (result i32)`.
    pub(crate) on_response: Option<String>,
    /// `(param $config i32) (param $req i32) (param $body i32) (param $size i32) (result i32)`.
    pub(crate) on_request_body: Option<String>,
    /// The same, with `(param $resp i32)` after the request.
    pub(crate) on_response_body: Option<String>,
    /// The same, with `(param $last i32)` at the end.
    pub(crate) on_chunk: Option<String>,
    /// How many pages of memory it begins with.
    pub(crate) pages: u32,
    /// `(param $id i32) (param $text i32) (param $length i32) (result i32)`.
    pub(crate) configure: String,
    /// `(result i32)`.
    pub(crate) describe: String,
    /// `(param $id i32)`.
    pub(crate) release: String,
    /// The JSON Schema that it gives.
    pub(crate) schema: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            world: "",
            own: String::new(),
            on_request: Some(NEXT.to_owned()),
            on_response: None,
            on_request_body: None,
            on_response_body: None,
            on_chunk: None,
            pages: 2,
            configure: OK.to_owned(),
            describe: "i32.const 64".to_owned(),
            release: String::new(),
            schema: "{}",
        }
    }
}

/// The verdict `next`, after the handles are given back.
pub(crate) const NEXT: &str = "(call $drop-request (local.get $req)) (i32.const 16)";
/// `next` of a response hook.
pub(crate) const NEXT_RESPONSE: &str = "(call $drop-request (local.get $req))
    (call $drop-response (local.get $resp)) (i32.const 16)";
/// A configuration that is accepted.
pub(crate) const OK: &str = "i32.const 16";

impl Guest {
    /// A guest whose request hook does this.
    pub(crate) fn on_request(body: &str) -> Self {
        Self {
            on_request: Some(body.to_owned()),
            ..Self::default()
        }
    }

    /// The hooks that it has.
    fn hooks(&self) -> String {
        let hook = |name: &str, params: &str, body: &Option<String>| {
            body.as_ref().map_or_else(String::new, |body| {
                format!("(func (export \"{name}\") {params} (result i32) (global.set $heap (i32.const 8192)) {body})")
            })
        };
        let request = hook(
            "portcullis:filter/request-hook@0.1.0#on-request",
            "(param $config i32) (param $req i32)",
            &self.on_request,
        );
        let response = hook(
            "portcullis:filter/response-hook@0.1.0#on-response",
            "(param $config i32) (param $req i32) (param $resp i32)",
            &self.on_response,
        );
        let request_body = body_hook(
            "request-body-hook@0.1.0#on-request-body",
            &["config", "req", "body", "size"],
            self.on_request_body.as_ref(),
        );
        let response_body = body_hook(
            "response-body-hook@0.1.0#on-response-body",
            &["config", "req", "resp", "body", "size"],
            self.on_response_body.as_ref(),
        );
        let chunk = body_hook(
            "response-stream-hook@0.1.0#on-response-chunk",
            &["config", "req", "resp", "body", "size", "last"],
            self.on_chunk.as_ref(),
        );
        [request, response, request_body, response_body, chunk].concat()
    }

    /// The core module, in text.
    fn text(&self) -> String {
        let hooks = self.hooks();
        let Self {
            pages,
            own,
            configure,
            describe,
            release,
            schema,
            ..
        } = self;
        let needs_response = own.contains("response")
            || self.on_response.is_some()
            || self.on_response_body.is_some()
            || self.on_chunk.is_some();
        let drop_response = if needs_response {
            r#"(import "portcullis:filter/types@0.1.0" "[resource-drop]response" (func $drop-response (param i32)))"#
        } else {
            ""
        };
        let escaped = schema.replace('\\', "\\\\").replace('"', "\\\"");
        let length = schema.len();
        let (imports, rest): (Vec<&str>, Vec<&str>) = own
            .lines()
            .partition(|line| line.trim_start().starts_with("(import"));
        let (imports, rest) = (imports.join("\n"), rest.join("\n"));
        format!(
            r#"(module
            (import "portcullis:filter/types@0.1.0" "[resource-drop]request" (func $drop-request (param i32)))
            {drop_response}
            {imports}
            (memory (export "memory") {pages})
            (global $heap (mut i32) (i32.const 8192))
            ;; At 16 lies a verdict `next` and a result `ok`; at 64 what `describe` returns.
            (data (i32.const 64) "\80\00\00\00\05\00\00\00\90\00\00\00\05\00\00\00\a0\00\00\00")
            (data (i32.const 128) "guest")
            (data (i32.const 144) "1.2.3")
            (data (i32.const 160) "{escaped}")
            (func $length (export "_initialize") (i32.store (i32.const 84) (i32.const {length})))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.set $heap (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "portcullis:filter/plugin@0.1.0#describe") (result i32) {describe})
            (func (export "portcullis:filter/plugin@0.1.0#configure")
                (param $id i32) (param $text i32) (param $length i32) (result i32) {configure})
            (func (export "portcullis:filter/plugin@0.1.0#release") (param $id i32) {release})
            {hooks}
            {rest})"#
        )
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        self.build_against(include_str!("../../../../wit/filter.wit"))
    }

    /// The component, against another text of the package.
    pub(crate) fn build_against(&self, wit: &str) -> Vec<u8> {
        let version = if wit.contains("filter@0.1.0;") {
            "0.1.0"
        } else {
            "0.2.0"
        };
        let export = |hook: &str, present: bool| {
            let line = format!("export portcullis:filter/{hook}@{version};\n");
            if present { line } else { String::new() }
        };
        let world = format!(
            "package test:guest;\nworld guest {{\nimport portcullis:filter/types@{version};\n{}{}{}{}{}{}{}\n}}",
            export("plugin", true),
            export("request-hook", self.on_request.is_some()),
            export("response-hook", self.on_response.is_some()),
            export("request-body-hook", self.on_request_body.is_some()),
            export("response-body-hook", self.on_response_body.is_some()),
            export("response-stream-hook", self.on_chunk.is_some()),
            self.world.replace("@0.1.0", &format!("@{version}")),
        );
        let mut resolve = Resolve::default();
        resolve.push_str("filter.wit", wit).expect("the package");
        let package = resolve.push_str("guest.wit", &world).expect("a world");
        let world = resolve.select_world(&[package], None).expect("one world");
        let text = self.text().replace("@0.1.0", &format!("@{version}"));
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("metadata");
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|mut encoder| encoder.encode())
            .unwrap_or_else(|error| panic!("{error:?}\n{text}"))
    }
}

/// A hook that is given bytes. They lie on the heap, which is free again when it returns.
fn body_hook(name: &str, params: &[&str], body: Option<&String>) -> String {
    let Some(body) = body else {
        return String::new();
    };
    let all =
        |how: &dyn Fn(&str) -> String| -> String { params.iter().map(|name| how(name)).collect() };
    let typed = all(&|name| format!("(param ${name} i32)"));
    let given = all(&|name| format!("(local.get ${name})"));
    let inner = name.replace(['#', '@'], "-");
    format!(
        "(func $inner-{inner} {typed} (result i32) {body})
        (func (export \"portcullis:filter/{name}\") {typed} (result i32) (local $done i32)
            (local.set $done (call $inner-{inner} {given}))
            (global.set $heap (i32.const 8192)) (local.get $done))"
    )
}

/// Imports `request.header` as `$header`.
pub(crate) const HEADER: &str = r#"(import "portcullis:filter/types@0.1.0" "[method]request.header" (func $header (param i32 i32 i32 i32)))"#;

/// A guest that reads one field and answers where it says so: what most filters do.
pub(crate) fn reader() -> Guest {
    Guest {
        own: format!("{HEADER}\n(data (i32.const 1024) \"x-canary\")"),
        ..Guest::on_request(
            "(call $header (local.get $req) (i32.const 1024) (i32.const 8) (i32.const 2048))
             (call $drop-request (local.get $req))
             (i32.const 16)",
        )
    }
}
