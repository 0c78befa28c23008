//! The translation is total: whatever annotations and Plugins say.

use std::collections::HashSet;

use super::*;

/// Values that mean something somewhere, and some that mean nothing anywhere.
fn value() -> impl Strategy<Value = String> {
    let known = [
        "",
        "true",
        "false",
        "cookie",
        "0",
        "1",
        "4294967295",
        "10.0.0.0/8",
        "x",
        "always",
        "legacy",
        "persistent",
        "rate-limit",
        "canary",
        "canary, rate-limit, rate-limit",
        "a=geo, team/geo",
        "a=canary, b=a/b/c, , =",
        "{a: 1}",
        "[1]",
        "{a: [",
        "{backends: [{service: web, port: 80}, 1]}",
        "{backends: {}}",
        "a: 1\n---\nb: 1",
        "&a [*a]",
        "{<<: 1}",
    ];
    prop_oneof![6 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

const KEYS: &[&str] = &[
    "portcullis.dev/filters",
    "portcullis.dev/filter.rate-limit",
    "portcullis.dev/filter.canary",
    "portcullis.dev/filter.a",
    "nginx.ingress.kubernetes.io/limit-rps",
    "nginx.ingress.kubernetes.io/limit-rpm",
    "nginx.ingress.kubernetes.io/limit-connections",
    "nginx.ingress.kubernetes.io/limit-burst-multiplier",
    "nginx.ingress.kubernetes.io/limit-whitelist",
    "nginx.ingress.kubernetes.io/limit-allowlist",
    "nginx.ingress.kubernetes.io/limit-rate",
    "nginx.ingress.kubernetes.io/canary",
    "nginx.ingress.kubernetes.io/canary-by-header",
    "nginx.ingress.kubernetes.io/canary-by-header-value",
    "nginx.ingress.kubernetes.io/canary-by-header-pattern",
    "nginx.ingress.kubernetes.io/canary-by-cookie",
    "nginx.ingress.kubernetes.io/canary-weight",
    "nginx.ingress.kubernetes.io/canary-weight-total",
    "nginx.ingress.kubernetes.io/affinity",
    "nginx.ingress.kubernetes.io/affinity-mode",
    "nginx.ingress.kubernetes.io/affinity-canary-behavior",
    "nginx.ingress.kubernetes.io/session-cookie-name",
    "nginx.ingress.kubernetes.io/session-cookie-path",
    "nginx.ingress.kubernetes.io/session-cookie-domain",
    "nginx.ingress.kubernetes.io/session-cookie-samesite",
    "nginx.ingress.kubernetes.io/session-cookie-secure",
    "nginx.ingress.kubernetes.io/session-cookie-expires",
    "nginx.ingress.kubernetes.io/session-cookie-max-age",
    "nginx.ingress.kubernetes.io/session-cookie-change-on-failure",
];

/// Annotations of an Ingress, in flow style.
fn annotations() -> impl Strategy<Value = String> {
    let pairs =
        proptest::collection::btree_map(proptest::sample::select(KEYS.to_vec()), value(), 0..6);
    pairs.prop_map(|pairs| {
        let one = |(key, value): (&str, String)| format!("{key}: {}", quoted(&value));
        pairs.into_iter().map(one).collect::<Vec<_>>().join(", ")
    })
}

proptest! {
    /// No annotation is too much, nobody else's chain changes, and every chain is well formed.
    #[test]
    fn no_annotations_are_too_much(one in annotations(), two in annotations(), spec in word(), text in value()) {
        let good = annotated("good/web", "portcullis.dev/filters: rate-limit", "web") + &service("good/web");
        let yaml = good.clone()
            + &annotated("one", &one, "web")
            + &annotated("two", &two, "next")
            + &service("web")
            + &service("next");
        let mut objects = objects(&good);
        let before = translate(&objects, &options()).0;
        let _ = apply(&mut objects, &yaml);
        let _ = apply(&mut objects, &plugin("geo", &format!("limits: {{time: {}}}, config: {}", quoted(&spec), quoted(&text))));
        let _ = apply(&mut objects, &plugin("team/geo", &format!("allowedNamespaces: [{}]", quoted(&spec))));
        let (config, problems) = translate(&objects, &options());
        prop_assert_eq!(&translate(&objects, &options()), &(config.clone(), problems));
        let chain_of = |c: &Config| c.rules.iter().find(|r| r.route.ingress.namespace == "good").map(|r| r.route.filters.clone());
        prop_assert_eq!(chain_of(&before), chain_of(&config));
        for rule in &config.rules {
            let filters = &rule.route.filters;
            let aliases: HashSet<_> = filters.iter().map(|f| &f.alias).collect();
            prop_assert_eq!(aliases.len(), filters.len());
            for filter in filters.iter() {
                let json = filter.config.as_ref().map(|c| serde_json::from_str::<serde_json::Value>(c));
                prop_assert!(json.is_none_or(|json| json.is_ok_and(|json| json.is_object())));
                prop_assert!(filter.plugin.as_ref().is_none_or(|id| config.plugins.contains_key(id)));
            }
        }
        for target in config.reroutes.values().flat_map(|found| found.values()) {
            let Target::Cluster(id) = target else { continue };
            prop_assert!(config.clusters.contains_key(id));
        }
    }
}
