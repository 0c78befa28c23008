//! Sessions, in the terms of ingress-nginx: `affinity*` and `session-cookie-*` as a configuration of
//! `sticky-session`.

use serde_json::{Map, Value};

use super::{BOOL, Key, NGINX, Reporter, set, value};
use crate::objects::model::Ingress;

/// What the keys ask for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affinity {
    pub(crate) config: Map<String, Value>,
    /// The cookie's name.
    pub(crate) cookie: String,
    pub(crate) moves: Moves,
}

/// Whether a canary may take over a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Moves {
    /// A session stays with the backend where it began, be that the canary.
    #[default]
    Never,
    /// The canary decides for each request, and has no sessions: `legacy`.
    Freely,
}

/// The keys while they are read.
#[derive(Default)]
pub(super) struct Draft {
    wanted: Option<()>,
    mode: Option<String>,
    moves: Option<Moves>,
    cookie: Option<String>,
    path: Option<String>,
    domain: Option<String>,
    same_site: Option<&'static str>,
    secure: Option<bool>,
    conditional: Option<bool>,
    expires: Option<u32>,
    max_age: Option<u32>,
    change: Option<bool>,
}

impl Draft {
    pub(super) fn finish(self, ingress: &Ingress, reporter: &mut Reporter<'_>) -> Option<Affinity> {
        if self.wanted.is_none() {
            let own = |key: &&str| KEYS.iter().any(|(own, _)| own == key && *key != AFFINITY);
            let keys = ingress.annotations.iter();
            let keys = keys.filter_map(|(key, _)| key.strip_prefix(NGINX));
            for key in keys.filter(own) {
                let message = "the annotation does nothing without affinity";
                let hint = format!("write {NGINX}affinity: cookie, or take it out");
                reporter.warn(key, message, hint);
            }
            return None;
        }
        let parts: [(&str, Option<Value>); 10] = [
            ("cookie", self.cookie.clone().map(Value::from)),
            ("mode", self.mode.map(Value::from)),
            ("path", self.path.map(Value::from)),
            ("domain", self.domain.map(Value::from)),
            ("sameSite", self.same_site.map(Value::from)),
            ("secure", self.secure.map(Value::from)),
            ("conditionalSameSiteNone", self.conditional.map(Value::from)),
            ("maxAge", self.max_age.map(Value::from)),
            ("expires", self.expires.map(Value::from)),
            ("changeOnFailure", self.change.map(Value::from)),
        ];
        let parts = parts.into_iter();
        let config = parts.filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Some(Affinity {
            config: config.collect(),
            cookie: self.cookie.unwrap_or_else(|| DEFAULT_COOKIE.to_owned()),
            moves: self.moves.unwrap_or_default(),
        })
    }
}

/// The keys, without [`NGINX`].
pub(super) const KEYS: &[Key] = &[
    (AFFINITY, |draft, text| {
        let wanted = (text.trim() == "cookie").then_some(());
        set(
            &mut draft.affinity.wanted,
            wanted,
            "write cookie: there is no other",
        )
    }),
    ("affinity-mode", |draft, text| {
        let mode = Some(text.trim().to_owned());
        let mode = mode.filter(|mode| matches!(mode.as_str(), "balanced" | "persistent"));
        set(
            &mut draft.affinity.mode,
            mode,
            "write balanced or persistent",
        )
    }),
    ("affinity-canary-behavior", |draft, text| {
        let moves = match text.trim() {
            "sticky" => Some(Moves::Never),
            "legacy" => Some(Moves::Freely),
            _ => None,
        };
        set(&mut draft.affinity.moves, moves, "write sticky or legacy")
    }),
    ("session-cookie-name", |draft, text| {
        let name = value::token(text);
        let hint = "write a cookie's name: letters, digits, '-', '_' and '.'";
        set(&mut draft.affinity.cookie, name, hint)
    }),
    ("session-cookie-path", |draft, text| {
        let path = value::cookie_part(text).filter(|path| path.starts_with('/'));
        set(
            &mut draft.affinity.path,
            path,
            "write a path that begins with '/'",
        )
    }),
    ("session-cookie-domain", |draft, text| {
        let domain = value::cookie_part(text).filter(|domain| !domain.contains(['/', ':', ' ']));
        set(&mut draft.affinity.domain, domain, "write a DNS name")
    }),
    ("session-cookie-samesite", |draft, text| {
        let known = ["None", "Lax", "Strict"].into_iter();
        let mut known = known.filter(|word| word.eq_ignore_ascii_case(text.trim()));
        set(
            &mut draft.affinity.same_site,
            known.next(),
            "write None, Lax or Strict",
        )
    }),
    ("session-cookie-secure", |draft, text| {
        set(&mut draft.affinity.secure, value::nginx_bool(text), BOOL)
    }),
    ("session-cookie-conditional-samesite-none", |draft, text| {
        set(
            &mut draft.affinity.conditional,
            value::nginx_bool(text),
            BOOL,
        )
    }),
    ("session-cookie-expires", |draft, text| {
        set(
            &mut draft.affinity.expires,
            value::nginx_number(text),
            SECONDS,
        )
    }),
    ("session-cookie-max-age", |draft, text| {
        set(
            &mut draft.affinity.max_age,
            value::nginx_number(text),
            SECONDS,
        )
    }),
    ("session-cookie-change-on-failure", |draft, text| {
        set(&mut draft.affinity.change, value::nginx_bool(text), BOOL)
    }),
];

/// The key that asks for sessions.
pub(crate) const AFFINITY: &str = "affinity";
/// The cookie of sessions that name none.
pub(crate) const DEFAULT_COOKIE: &str = "INGRESSCOOKIE";
const SECONDS: &str = "write whole seconds without a unit, as in \"3600\"";
