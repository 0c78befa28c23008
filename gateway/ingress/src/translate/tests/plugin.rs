//! Claims about plugins and what they may reroute to, each a test.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use route::{Backends, Image, Plugin, PluginId, Source, Target};

use super::*;
use crate::{Ceilings, Options, Severity};

/// The Plugin `default/geo` of this spec as a chain has it, and the problems.
fn served(spec: &str, options: &Options) -> (Arc<Plugin>, Vec<crate::Problem>) {
    let yaml = annotated("web", "portcullis.dev/filters: geo", "web")
        + &service("web")
        + &plugin("geo", spec);
    let (config, problems) = translated(&yaml, options);
    let id = PluginId::Object {
        namespace: "default".into(),
        name: "geo".into(),
    };
    (config.plugins[&id].clone(), problems)
}

fn with(ceilings: Ceilings) -> Options {
    Options {
        ceilings,
        ..options()
    }
}

#[test]
fn no_plugin_gets_more_than_the_operator_gives() {
    let options = with(Ceilings {
        time: Duration::from_micros(1500),
        memory: 48 << 20,
        grants: Some(vec!["http".into(), "random".into()]),
    });
    let grants = "grants: {http: [x], keyValue: {maxBytes: 1}, rateLimit: true, metrics: true, random: true, backends: ['*']}";
    let (plugin, problems) = served(
        &format!("limits: {{time: 2ms, memory: 1Gi}}, {grants}"),
        &options,
    );
    assert_eq!(plugin.limits.time, Duration::from_micros(1500));
    assert_eq!(plugin.limits.memory, 48 << 20);
    let given = &plugin.grants;
    assert_eq!((given.http.len(), given.random), (1, true));
    assert_eq!(
        (given.key_value, given.rate_limit, given.metrics),
        (None, false, false)
    );
    assert_eq!(given.backends, Backends::default());
    let fields: Vec<_> = problems.iter().map(|p| p.field.clone().unwrap()).collect();
    let wanted = [
        "spec.grants.backends",
        "spec.grants.keyValue",
        "spec.grants.metrics",
        "spec.grants.rateLimit",
        "spec.limits.memory",
        "spec.limits.time",
    ];
    assert_eq!(fields, wanted);
    assert!(
        problems
            .iter()
            .all(|p| p.severity == Severity::Warning && p.kind == "Plugin")
    );
    the(&problems, "--plugin-max-time");
    the(&problems, "--plugin-max-memory");
    the(&problems, "add keyValue to --plugin-grants");
}

#[test]
fn what_a_plugin_did_not_ask_for_is_cut_without_a_word() {
    let options = with(Ceilings {
        memory: 1 << 20,
        ..Ceilings::default()
    });
    let (plugin, problems) = served("", &options);
    assert_eq!((plugin.limits.memory, lines(&problems)), (1 << 20, vec![]));
}

#[test]
fn a_file_is_looked_up_beside_its_manifest_and_then_in_the_plugin_folder() {
    let mut options = options();
    options.plugin_folder = Some("/plugins".into());
    for (mode, wanted) in [
        (Mode::Manifests, vec![".", "/plugins"]),
        (Mode::Check, vec![".", "/plugins"]),
        (Mode::Cluster, vec!["/plugins"]),
    ] {
        options.mode = mode;
        let (plugin, _) = served("", &options);
        let folders: Vec<PathBuf> = wanted.iter().map(PathBuf::from).collect();
        let name = "x.wasm".to_owned();
        assert_eq!(plugin.source, Source::File { name, folders });
    }
    options.plugin_folder = None;
    let (_, problems) = served("", &options);
    let problem = the(&problems, "there is no folder of plugin files");
    assert_eq!(problem.field.as_deref(), Some("spec.source.file"));
}

#[test]
fn code_from_elsewhere_is_fetched_by_a_gateway_and_not_by_check() {
    let digest = "0".repeat(64);
    let image = Image {
        registry: "x.example".into(),
        repository: "y".into(),
        digest: digest.clone(),
        login: None,
    };
    for (source, part, wanted) in [
        (
            format!("{{oci: 'x.example/y@sha256:{digest}'}}"),
            "oci",
            Source::Oci(image),
        ),
        (
            format!("{{url: 'https://x/y'}}, sha256: '{digest}'"),
            "url",
            Source::Url("https://x/y".into()),
        ),
    ] {
        let (found, problems) = sourced(&source, "", &options());
        assert_eq!((found, lines(&problems)), (wanted, vec![]));
        let check = Options {
            mode: Mode::Check,
            ..options()
        };
        let (found, problems) = sourced(&source, "", &check);
        assert_eq!(found, Source::Unseen);
        let note = the(&problems, "is not fetched here");
        assert_eq!(note.severity, Severity::Note);
        assert_eq!(note.field, Some(format!("spec.source.{part}")));
    }
}

/// The source of the Plugin `default/geo` that is written so, with these objects beside it.
fn sourced(source: &str, beside: &str, options: &Options) -> (Source, Vec<crate::Problem>) {
    let yaml = annotated("web", "portcullis.dev/filters: geo", "web")
        + &service("web")
        + &plugin("geo", "").replace("{file: x.wasm}", source)
        + beside;
    let (config, problems) = translated(&yaml, options);
    let plugin = config.plugins.values().next().unwrap();
    (plugin.source.clone(), problems)
}

#[test]
fn code_in_a_config_map_is_that_of_its_own_namespace() {
    let source = "{configMap: {name: code, key: geo}}";
    let map = |namespace: &str| {
        format!(
            "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: code, namespace: {namespace}}}\n\
             binaryData: {{geo: AGFzbQ==, note: eHg=}}\n"
        )
    };
    let (found, problems) = sourced(source, &map("default"), &options());
    let code: Arc<[u8]> = b"\0asm".as_slice().into();
    assert_eq!((found, lines(&problems)), (Source::Inline(code), vec![]));
    for (written, beside, words, write) in [
        (source, map("other"), "no ConfigMap default/code", "create"),
        (
            "{configMap: {name: code, key: geoo}}",
            map("default"),
            "has no key",
            "geo, note",
        ),
        (
            "{configMap: {name: code, key: note}}",
            map("default"),
            "no WebAssembly",
            "binaryData",
        ),
    ] {
        let Source::Missing { message, hint } = sourced(written, &beside, &options()).0 else {
            panic!("{written}");
        };
        assert!(message.contains(words), "{message}");
        assert!(hint.contains(write), "{hint}");
    }
}

#[test]
fn a_pull_secret_is_that_of_its_own_namespace() {
    let digest = "0".repeat(64);
    let source = format!("{{oci: 'x.example/y@sha256:{digest}', pullSecret: pull}}");
    let secret = |namespace: &str, place: &str| {
        format!(
            "\n---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/dockerconfigjson\n\
             metadata: {{name: pull, namespace: {namespace}}}\n\
             stringData: {{.dockerconfigjson: '{{\"auths\":{{\"{place}\":{{\"username\":\"u\",\"password\":\"p\"}}}}}}'}}\n"
        )
    };
    let user = |beside: &str| {
        let (found, problems) = sourced(&source, beside, &options());
        let Source::Oci(image) = found else {
            panic!("{found:?}");
        };
        (image.login.map(|login| login.user), problems)
    };
    let (login, problems) = user(&secret("default", "x.example"));
    assert_eq!((login.as_deref(), lines(&problems)), (Some("u"), vec![]));
    for (beside, words) in [
        (
            secret("other", "x.example"),
            "there is no Secret default/pull",
        ),
        (secret("default", "z.example"), "no login for x.example"),
    ] {
        let (login, problems) = user(&beside);
        assert_eq!(login, None);
        let problem = the(&problems, words);
        assert_eq!(problem.severity, Severity::Error);
        assert_eq!(problem.field.as_deref(), Some("spec.source.pullSecret"));
    }
}

fn reroutes(config: &Config, namespace: &str) -> BTreeMap<String, String> {
    let found = config.reroutes.get(namespace);
    let text = |target: &Target| match target {
        Target::Cluster(id) => {
            assert!(config.clusters.contains_key(id), "{id}");
            id.to_string()
        }
        Target::NoPort => "no port".to_owned(),
        Target::NoService => "no service".to_owned(),
    };
    let pairs = found.into_iter().flat_map(|found| found.iter());
    pairs
        .map(|(key, target)| (key.clone(), text(target)))
        .collect()
}

const PORTS: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: many}\n\
    spec: {ports: [{port: 80, name: http}, {port: 81, name: alt}, {port: 53, name: dns, protocol: UDP}]}\n";

#[test]
fn a_plugin_for_all_backends_may_reroute_to_every_port_of_the_namespace() {
    let yaml = annotated("web", "portcullis.dev/filters: geo", "web")
        + &service("web")
        + PORTS
        + &service("other/web")
        + &plugin("geo", "grants: {backends: ['*']}");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(lines(&problems), [""; 0]);
    let found: Vec<_> = reroutes(&config, "default").into_iter().collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let wanted = [
        pair("many:80", "default/many:80"),
        pair("many:81", "default/many:81"),
        pair("many:alt", "default/many:81"),
        pair("many:http", "default/many:80"),
        pair("web:80", "default/web:80"),
    ];
    assert_eq!(found, wanted);
    assert_eq!(config.reroutes.len(), 1);
}

#[test]
fn a_plugin_for_some_backends_may_reroute_to_those_in_each_namespace_that_uses_it() {
    let yaml = annotated("web", "portcullis.dev/filters: geo", "web")
        + &annotated("team/web", "portcullis.dev/filters: default/geo", "web")
        + &service("web")
        + PORTS
        + &service("team/web")
        + &plugin(
            "geo",
            "allowedNamespaces: [team], grants: {backends: ['web:80', 'many:http', 'many:5', 'gone:80']}",
        );
    let (config, _) = translated(&yaml, &options());
    // The filter is told of those that are not there.
    let found: Vec<_> = reroutes(&config, "default").into_values().collect();
    assert_eq!(found, ["default/many:80", "default/web:80"]);
    let found: Vec<_> = reroutes(&config, "team").into_values().collect();
    assert_eq!(found, ["team/web:80"]);
}

#[test]
fn who_may_not_reroute_has_no_backends() {
    let yaml = annotated(
        "web",
        "portcullis.dev/filters: 'rate-limit, sticky-session'",
        "web",
    ) + &service("web");
    let (config, _) = translated(&yaml, &options());
    assert!(config.reroutes.is_empty());
}

#[test]
fn a_canary_that_names_a_missing_service_is_told_with_its_place() {
    let canary = "portcullis.dev/filters: canary, portcullis.dev/filter.canary: \
        '{backends: [{service: web, port: 80}, {service: gone, port: 80}, {service: web, port: \"9\"}, {service: 1}]}'";
    let yaml = annotated("web", canary, "web") + &service("web");
    let (config, problems) = translated(&yaml, &options());
    let missing = the(
        &problems,
        "default/gone is missing; requests get 503 (at /backends/1/service)",
    );
    let field = "metadata.annotations[portcullis.dev/filter.canary]";
    assert_eq!(
        (missing.severity, missing.field.as_deref()),
        (Severity::Error, Some(field))
    );
    let port = the(
        &problems,
        "has no TCP port 9; requests get 503 (at /backends/2/port)",
    );
    assert_eq!(
        (port.severity, port.field.as_deref()),
        (Severity::Error, Some(field))
    );
    assert_eq!(problems.len(), 2);
    let found: Vec<_> = reroutes(&config, "default").into_iter().collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let wanted = [
        pair("gone:80", "no service"),
        pair("web:80", "default/web:80"),
        pair("web:9", "no port"),
    ];
    assert_eq!(found, wanted);
    let (_, problems) = translated(&yaml, &in_mode(Mode::Check));
    assert_eq!(
        the(&problems, "/backends/1/service").severity,
        Severity::Note
    );
}
