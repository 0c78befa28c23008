//! Guests of these tests: hooks put together step by step, so that a test says what a filter does.
//!
//! Where things lie in a guest's memory: at 600 what a change came to, at 604 what was read, at 640
//! a verdict, at 700 fields of an answer, from 1024 on texts, from 4096 on configurations.

use std::collections::BTreeSet;

use crate::guests::{Guest, NEXT, NEXT_RESPONSE};

/// What the hooks of one guest share: imports and texts.
#[derive(Default)]
pub(super) struct Kit {
    imports: BTreeSet<String>,
    texts: Vec<u8>,
}

impl Kit {
    /// Place and length of a text, as two arguments.
    pub(super) fn text(&mut self, text: impl AsRef<[u8]>) -> String {
        let (at, text) = (TEXTS + self.texts.len(), text.as_ref());
        self.texts.extend_from_slice(text);
        assert!(TEXTS + self.texts.len() <= CONFIGS, "too many texts");
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    /// A function of `types`: its name here.
    pub(super) fn method(&mut self, name: &str, params: usize) -> String {
        self.import("types", &format!("[method]{name}"), (params, ""))
    }

    /// A function of an interface: its name here.
    pub(super) fn import(
        &mut self,
        interface: &str,
        name: &str,
        (params, result): (usize, &str),
    ) -> String {
        let own = format!("${}", name.replace(['[', ']'], "-"));
        let params = "i32 ".repeat(params);
        self.imports.insert(format!(
            r#"(import "portcullis:filter/{interface}@0.1.0" "{name}" (func {own} (param {params}) {result}))"#
        ));
        own
    }

    /// Sets, adds or removes a field of `request` or `response`.
    pub(super) fn change(
        &mut self,
        (of, how): (&str, &str),
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> String {
        let value = self.text(value);
        self.put((of, how), name, if how == "remove" { "" } else { &value })
    }

    /// The same with a value that lies somewhere.
    pub(super) fn put(
        &mut self,
        (of, how): (&str, &str),
        name: impl AsRef<[u8]>,
        value: &str,
    ) -> String {
        let params = if how == "remove" { 4 } else { 6 };
        let function = self.method(&format!("{of}.{how}-header"), params);
        let (handle, name) = (handle(of), self.text(name));
        format!("(call {function} {handle} {name} {value} (i32.const 600))\n")
    }

    /// Does each of these, and puts what came of it into a field: `-` where it worked, else the
    /// number of the error.
    pub(super) fn tried(&mut self, of: &str, field: &str, steps: &[String]) -> String {
        let outcomes = self.text(" ".repeat(steps.len()));
        let at = TEXTS + self.texts.len() - steps.len();
        let noted = steps.iter().enumerate().map(|(index, step)| {
            format!(
                "{step} (i32.store8 (i32.const {}) (select (i32.add (i32.const 48) (i32.load8_u (i32.const 601))) (i32.const 45) (i32.load8_u (i32.const 600))))\n",
                at + index
            )
        });
        let noted: String = noted.collect();
        noted + &self.put((of, "set"), field, &outcomes)
    }

    /// Fills in the record of an answer. It is a whole verdict with `VERDICT` behind it, of the case
    /// that `tag` says.
    pub(super) fn answer(
        &mut self,
        tag: u8,
        status: u16,
        fields: &[(&str, &str)],
        body: &str,
    ) -> String {
        let mut out = format!(
            "(i32.store8 (i32.const 640) (i32.const {tag})) (i32.store16 (i32.const 644) (i32.const {status}))
             (i32.store (i32.const 648) (i32.const 700)) (i32.store (i32.const 652) (i32.const {}))\n",
            fields.len()
        );
        let mut at = 700;
        for part in fields.iter().flat_map(|(name, value)| [name, value]) {
            out.push_str(&pair(at, &self.text(part)));
            at += 8;
        }
        out + &pair(656, &self.text(body))
    }

    /// The component.
    pub(super) fn build(self, guest: Guest) -> Vec<u8> {
        let imports: Vec<String> = self.imports.into_iter().collect();
        let texts: String = self.texts.iter().map(|b| format!("\\{b:02x}")).collect();
        let own = format!(
            "{}\n{}\n(data (i32.const {TEXTS}) \"{texts}\")\n{MODE}",
            imports.join("\n"),
            guest.own
        );
        Guest { own, ..guest }.build()
    }
}

fn handle(of: &str) -> &'static str {
    if of == "request" {
        "(local.get $req)"
    } else {
        "(local.get $resp)"
    }
}

/// Stores place and length of a text.
fn pair(at: usize, text: &str) -> String {
    let (place, length) = text.split_once(") ").expect("two arguments");
    format!(
        "(i32.store (i32.const {at}) {place})) (i32.store (i32.const {}) {length})\n",
        at + 4
    )
}

/// Keeps the configuration, of at most 64 bytes.
pub(super) const KEEP: &str = "
    (memory.copy (call $config-of (local.get $id)) (local.get $text) (local.get $length))
    (i32.store (call $length-of (local.get $id)) (local.get $length))
    (i32.const 16)";

/// `$mode` is the digit of a configuration that begins with `{\"do\":`.
const MODE: &str = "
    (func $config-of (param i32) (result i32)
        (i32.add (i32.const 4096) (i32.mul (i32.and (local.get 0) (i32.const 31)) (i32.const 64))))
    (func $length-of (param i32) (result i32)
        (i32.add (i32.const 6144) (i32.mul (i32.and (local.get 0) (i32.const 31)) (i32.const 4))))
    (func $mode (param i32) (result i32)
        (i32.sub (i32.load8_u offset=6 (call $config-of (local.get 0))) (i32.const 48)))";

/// Place and length of the configuration in a hook.
pub(super) const CONFIG: &str =
    "(call $config-of (local.get $config)) (i32.load (call $length-of (local.get $config)))";
/// Gives the request back.
pub(super) const DROP: &str = "(call $drop-request (local.get $req))";
/// Gives both back.
pub(super) const DROP_BOTH: &str =
    "(call $drop-request (local.get $req)) (call $drop-response (local.get $resp))";
/// The verdict that was filled in.
pub(super) const VERDICT: &str = "(i32.const 640)";

/// Does something if the configuration says that digit, and returns.
pub(super) fn when(mode: u8, steps: &str) -> String {
    format!("(if (i32.eq (call $mode (local.get $config)) (i32.const {mode})) (then {steps}))\n")
}

/// A filter that leaves its configuration in `x-chain` of requests and `x-back` of responses, and
/// then does as `{"do": N}` says. In the request hook: 1 answers 403, 2 changes much and traps, 3
/// never ends, 4 takes all memory, 5 answers 204. In the response hook: 6 changes much and traps, 7
/// sends 410 instead.
pub(super) fn puppet() -> Vec<u8> {
    let mut kit = Kit::default();
    let tag = kit.put(("request", "add"), "x-chain", CONFIG);
    let back = kit.put(("response", "add"), "x-back", CONFIG);
    let refuse = kit.answer(1, 403, &[("x-by", "the filter")], "refused");
    let empty = kit.answer(1, 204, &[], "");
    let gone = kit.answer(1, 410, &[("x-by", "the filter")], "gone");
    let change = kit.change(("request", "set"), "x-undone", "1");
    let removed = kit.change(("request", "remove"), "x-mine", "");
    let (path, target) = (kit.method("request.set-path", 4), kit.text("/undone"));
    let status = kit.method("response.set-status", 3);
    let (changed, lost) = (
        kit.change(("response", "set"), "x-undone", "1"),
        kit.change(("response", "remove"), "x-mine", ""),
    );
    let request = [
        tag,
        when(1, &format!("{refuse} {DROP} (return {VERDICT})")),
        when(
            2,
            &format!(
                "{change} {removed} (call {path} (local.get $req) {target} (i32.const 600)) unreachable"
            ),
        ),
        when(3, "(loop (br 0))"),
        when(4, "(loop (drop (memory.grow (i32.const 1))) (br 0))"),
        when(5, &format!("{empty} {DROP} (return {VERDICT})")),
        NEXT.to_owned(),
    ];
    let response = [
        back,
        when(
            6,
            &format!(
                "{changed} {lost} (call {status} (local.get $resp) (i32.const 418) (i32.const 600)) unreachable"
            ),
        ),
        when(7, &format!("{gone} {DROP_BOTH} (return {VERDICT})")),
        NEXT_RESPONSE.to_owned(),
    ];
    kit.build(Guest {
        on_request: Some(request.concat()),
        on_response: Some(response.concat()),
        configure: KEEP.to_owned(),
        ..Guest::default()
    })
}

/// A filter that has a response hook only, and leaves its configuration in `x-back`.
pub(super) fn late() -> Vec<u8> {
    let mut kit = Kit::default();
    let back = kit.put(("response", "add"), "x-back", CONFIG);
    kit.build(Guest {
        on_request: None,
        on_response: Some(back + NEXT_RESPONSE),
        configure: KEEP.to_owned(),
        ..Guest::default()
    })
}

/// A filter that sets `x-version` of requests.
pub(super) fn stamp(version: &str) -> Vec<u8> {
    let mut kit = Kit::default();
    let set = kit.change(("request", "set"), "x-version", version);
    kit.build(Guest::on_request(&(set + NEXT)))
}

/// A filter whose request hook does this.
pub(super) fn doing(body: &str) -> Vec<u8> {
    Kit::default().build(Guest::on_request(body))
}

/// A filter that draws random numbers, for which it needs a grant.
pub(super) fn dice() -> Vec<u8> {
    let mut kit = Kit::default();
    let draw = kit.import("random", "get-u64", (0, "(result i64)"));
    kit.build(Guest {
        world: "import portcullis:filter/random@0.1.0;",
        ..Guest::on_request(&format!("(drop (call {draw})) {NEXT}"))
    })
}

/// Where texts begin.
const TEXTS: usize = 1024;
/// Where configurations begin.
const CONFIGS: usize = 4096;
