//! Claims about chains, each a test.

mod config;

use std::sync::Arc;

use route::{Backends, FilterRef, Grants, Limits, PluginId, Route, Source};

use super::*;
use crate::{Options, Problem, Severity};

/// The route of an Ingress with these annotations beside other objects, and the problems.
fn serve(annotations: &str, others: &str) -> (Route, Vec<Problem>) {
    serve_with(annotations, others, &options())
}

fn serve_with(annotations: &str, others: &str, options: &Options) -> (Route, Vec<Problem>) {
    let yaml = annotated("web", annotations, "web") + &service("web") + others;
    let (config, problems) = translated(&yaml, options);
    (config.rules[0].route.as_ref().clone(), problems)
}

#[track_caller]
fn good(annotations: &str, others: &str) -> Vec<String> {
    let (route, problems) = serve(annotations, others);
    assert_eq!(lines(&problems), [""; 0], "{annotations}");
    chain(&route)
}

/// The chain and the one problem, which is an error of the chain's annotation.
#[track_caller]
fn bad(filters: &str, others: &str) -> (Vec<String>, Problem) {
    let (route, problems) = serve(&format!("portcullis.dev/filters: '{filters}'"), others);
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(problem.severity, Severity::Error);
    let field = "metadata.annotations[portcullis.dev/filters]";
    assert_eq!(
        (problem.field.as_deref(), problem.line),
        (Some(field), Some(4))
    );
    (chain(&route), problem.clone())
}

#[test]
fn a_chain_has_its_filters_in_order_with_their_configurations() {
    let filters = "portcullis.dev/filters: 'rate-limit, sticky=sticky-session,per-ip=rate-limit', \
        portcullis.dev/filter.rate-limit: '{requests: 10, per: 1s}', \
        portcullis.dev/filter.per-ip: '{\"requests\": 1}'";
    let wanted = [
        r#"rate-limit=rate-limit {"requests":10,"per":"1s"}"#,
        "sticky=sticky-session {}",
        r#"per-ip=rate-limit {"requests":1}"#,
    ];
    assert_eq!(good(filters, ""), wanted);
    let (route, _) = serve(filters, "");
    let places: Vec<_> = route
        .filters
        .iter()
        .map(|f| (f.origin.as_str(), f.field.as_str()))
        .collect();
    let origin = "portcullis.dev/filters";
    let wanted = [
        (
            origin,
            "metadata.annotations[portcullis.dev/filter.rate-limit]",
        ),
        (origin, "metadata.annotations[portcullis.dev/filters]"),
        (origin, "metadata.annotations[portcullis.dev/filter.per-ip]"),
    ];
    assert_eq!(places, wanted);
}

#[test]
fn a_plain_name_ships_else_is_a_plugin_of_the_namespace_else_a_file() {
    let options = Options {
        plugin_folder: Some("/plugins".into()),
        plugin_files: vec!["rate-limit".into(), "geo".into(), "file".into()],
        ..options()
    };
    let others = plugin("geo", "") + &plugin("other/file", "");
    let filters = "portcullis.dev/filters: 'rate-limit, geo, file'";
    let (route, problems) = serve_with(filters, &others, &options);
    assert_eq!(lines(&problems), [""; 0]);
    let wanted = [
        "rate-limit=rate-limit {}",
        "geo=default/geo {}",
        "file=file {}",
    ];
    assert_eq!(chain(&route), wanted);
    assert_eq!(route.filters[2].plugin, Some(PluginId::File("file".into())));
}

#[test]
fn a_plugin_that_a_shipped_filter_hides_is_a_note() {
    let (route, problems) = serve(
        "portcullis.dev/filters: rate-limit",
        &plugin("rate-limit", ""),
    );
    let shipped = PluginId::Shipped("rate-limit".into());
    assert_eq!(route.filters[0].plugin, Some(shipped));
    let note = the(&problems, "is the filter that ships");
    assert_eq!(note.severity, Severity::Note);
    let found = good(
        "portcullis.dev/filters: default/rate-limit",
        &plugin("rate-limit", ""),
    );
    assert_eq!(found, ["rate-limit=default/rate-limit {}"]);
}

#[test]
fn a_plugin_of_another_namespace_must_allow_it() {
    for allowed in ["[default]", "['*']", "[x, default]"] {
        let other = plugin("team/geo", &format!("allowedNamespaces: {allowed}"));
        let found = good("portcullis.dev/filters: team/geo", &other);
        assert_eq!(found, ["geo=team/geo {}"]);
    }
    let (found, problem) = bad("team/geo", &plugin("team/geo", "allowedNamespaces: [x]"));
    assert_eq!(found, ["geo=! {}"]);
    assert_eq!(
        problem.message,
        "the Plugin team/geo is not for the namespace default; requests get 503"
    );
    let options = Options {
        shared_plugin_namespaces: vec!["team".into()],
        ..options()
    };
    let (route, problems) = serve_with(
        "portcullis.dev/filters: team/geo",
        &plugin("team/geo", ""),
        &options,
    );
    assert_eq!(
        (lines(&problems), chain(&route)),
        (vec![], vec!["geo=team/geo {}".into()])
    );
}

#[test]
fn only_plugins_of_watched_or_shared_namespaces_count() {
    let mut options = Options {
        watch_namespaces: vec!["default".into()],
        ..options()
    };
    let other = plugin("team/geo", "allowedNamespaces: ['*']");
    let filters = "portcullis.dev/filters: team/geo";
    let (route, _) = serve_with(filters, &other, &options);
    assert_eq!(route.filters[0].plugin, None);
    options.shared_plugin_namespaces = vec!["team".into()];
    let (route, problems) = serve_with(filters, &other, &options);
    assert_eq!(
        (lines(&problems), route.filters[0].plugin.is_some()),
        (vec![], true)
    );
}

#[test]
fn a_filter_that_is_not_there_is_an_error_with_the_nearest_and_closes_the_route() {
    let (found, problem) = bad("rate-limt", "");
    assert_eq!(found, ["rate-limt=! {}"]);
    assert_eq!(problem.hint, "write rate-limit");
    assert_eq!(
        problem.message,
        "no filter rate-limt ships or is in the plugin folder, and there is no Plugin default/rate-limt; requests get 503"
    );
    let (_, problem) = bad("unheard", &plugin("geo", ""));
    assert_eq!(
        problem.hint,
        "write one of canary, geo, rate-limit, sticky-session, or create the Plugin"
    );
    let open = plugin("team/geo-ip", "allowedNamespaces: ['*']");
    assert_eq!(bad("team/geo-op", &open).1.hint, "write team/geo-ip");
    assert_eq!(bad("geo-ip", &open).1.hint, "write team/geo-ip");
    // What may not be used is no hint.
    let closed = plugin("team/geo-ip", "");
    assert_eq!(
        bad("team/geo-op", &closed).1.hint,
        "create it, or name another one"
    );
}

#[test]
fn when_files_are_checked_a_filter_that_is_not_among_them_is_an_error() {
    let filters = "portcullis.dev/filters: 'gone, team/gone'";
    let (_, problems) = serve_with(filters, "", &in_mode(Mode::Check));
    let severities: Vec<_> = problems.iter().map(|p| p.severity).collect();
    assert!(
        severities.iter().filter(|s| **s == Severity::Error).count() == 2,
        "{problems:?}"
    );
}

#[test]
fn what_is_no_item_is_an_error_and_closes_the_route() {
    for item in [
        "a b", "=x", "x=", "a/b/c", "a//b", "/x", "x/", "-x", "a=b=c", "geo!",
    ] {
        let (found, problem) = bad(&format!("rate-limit, {item}"), "");
        assert_eq!(found.len(), 2, "{item}");
        assert!(found[1].contains("=! "), "{item}: {found:?}");
        assert!(
            problem.hint.starts_with("write [ALIAS=][NAMESPACE/]NAME"),
            "{problem}"
        );
    }
    assert_eq!(
        good("portcullis.dev/filters: ' , rate-limit, '", ""),
        ["rate-limit=rate-limit {}"]
    );
}

#[test]
fn an_alias_that_stands_twice_is_an_error_and_closes_the_route() {
    let (found, problem) = bad("rate-limit, rate-limit", "");
    assert_eq!(found, ["rate-limit=rate-limit {}", "rate-limit#2=! {}"]);
    assert_eq!(
        (problem.message.as_str(), problem.hint.as_str()),
        (
            "two filters of the chain are called rate-limit; requests get 503",
            "call one otherwise: x=rate-limit"
        )
    );
    let (found, _) = bad("x=rate-limit, x=canary", "");
    assert_eq!(found, ["x=rate-limit {}", "x#2=! {}"]);
}

#[test]
fn a_chain_that_never_ends_is_one_error_and_closes_the_route() {
    let many: Vec<_> = (0..1000).map(|n| format!("a{n}=canary")).collect();
    let (found, problem) = bad(&many.join(","), "");
    assert_eq!((found.len(), found[64].as_str()), (65, "#more=! {}"));
    assert!(
        problem
            .message
            .starts_with("the chain has more than 64 filters")
    );
}

#[test]
fn the_routes_of_an_ingress_share_their_chain() {
    let spec = format!("defaultBackend: {}\n", backend("web"))
        + &rule("a.example", "/", "web")
        + &format!(
            "\n    - {{path: /b, pathType: Exact, backend: {}}}",
            backend("web")
        );
    let yaml = annotate(&ingress("web", &spec), "portcullis.dev/filters: rate-limit");
    let (config, _) = translated(&(yaml + &service("web")), &options());
    let chains: Vec<&Arc<[FilterRef]>> = config.rules.iter().map(|r| &r.route.filters).collect();
    let default = &config.defaults[0].route.as_ref().unwrap().filters;
    assert!(Arc::ptr_eq(chains[0], chains[1]) && Arc::ptr_eq(chains[0], default));
}

#[test]
fn only_plugins_that_a_chain_names_are_served() {
    let others = plugin("geo", "grants: {metrics: true}") + &plugin("idle", "");
    let options = Options {
        plugin_folder: Some("/plugins".into()),
        plugin_files: vec!["file".into(), "idle-file".into()],
        ..options()
    };
    let filters = "portcullis.dev/filters: 'sticky-session, canary, rate-limit, file, geo'";
    let yaml = annotated("web", filters, "web") + &service("web") + &others;
    let (config, _) = translated(&yaml, &options);
    let grants = |id: PluginId| config.plugins[&id].grants.clone();
    let shipped = |name: &str| PluginId::Shipped(name.into());
    let random = Grants {
        random: true,
        ..Grants::default()
    };
    assert_eq!(grants(shipped("sticky-session")), random);
    let backends = Backends::All;
    assert_eq!(grants(shipped("canary")), Grants { backends, ..random });
    let limit = Grants {
        rate_limit: true,
        ..Grants::default()
    };
    assert_eq!(grants(shipped("rate-limit")), limit);
    let file = &config.plugins[&PluginId::File("file".into())];
    assert_eq!(
        (&file.grants, &file.limits),
        (&Grants::default(), &Limits::default())
    );
    let source = Source::File {
        name: "file.wasm".into(),
        folders: vec!["/plugins".into()],
    };
    assert_eq!(file.source, source);
    assert_eq!(config.plugins.len(), 5);
    let embedded = &config.plugins[&shipped("canary")].source;
    assert_eq!(*embedded, Source::Embedded("canary".into()));
}
