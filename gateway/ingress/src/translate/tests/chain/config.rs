//! Claims about the configurations of chains, each a test.

use super::*;

#[test]
fn a_configuration_without_its_filter_is_an_error_with_the_nearest() {
    for (filters, key, hint) in [
        (
            "rate-limit",
            "rate-limt",
            "write portcullis.dev/filter.rate-limit",
        ),
        (
            "rate-limit",
            "zzzz",
            "write one of rate-limit after portcullis.dev/filter.",
        ),
        ("", "geo", "write portcullis.dev/filters: \"geo\""),
    ] {
        let annotations =
            format!("portcullis.dev/filters: '{filters}', portcullis.dev/filter.{key}: '{{}}'");
        let (_, problems) = serve(&annotations, "");
        let problem = the(&problems, "no filter of the chain is called");
        assert_eq!(
            (problem.severity, problem.hint.as_str()),
            (Severity::Error, hint)
        );
        let field = format!("metadata.annotations[portcullis.dev/filter.{key}]");
        assert_eq!(problem.field, Some(field));
    }
}

#[test]
fn the_annotation_replaces_the_defaults_of_the_plugin_key_by_key() {
    let geo = plugin("geo", "config: {a: {x: 1, y: 2}, b: [1], c: 3}");
    let filters = "portcullis.dev/filters: geo, portcullis.dev/filter.geo: '{d: 4, a: {y: 5}}'";
    assert_eq!(
        good(filters, &geo),
        [r#"geo=default/geo {"a":{"y":5},"b":[1],"c":3,"d":4}"#]
    );
    assert_eq!(
        good("portcullis.dev/filters: geo", &geo),
        [r#"geo=default/geo {"a":{"x":1,"y":2},"b":[1],"c":3}"#]
    );
    let empty = "portcullis.dev/filters: geo, portcullis.dev/filter.geo: ''";
    assert_eq!(good(empty, &plugin("geo", "")), ["geo=default/geo {}"]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_an_error_with_its_line() {
    let block =
        "{annotations: {portcullis.dev/filters: rate-limit, portcullis.dev/filter.rate-limit: X}, ";
    for (text, line, message) in [
        ("'[1]'", 4, "the value is a list, not a map"),
        ("'{a: '", 4, "the value is not YAML: "),
        ("5five", 4, "the value is the string \"5five\", not a map"),
    ] {
        let yaml = ingress("web", &rule("a.example", "/", "web")).replace(
            "metadata: {",
            &format!("metadata: {}", block.replace('X', text)),
        );
        let (config, problems) = translated(&(yaml + &service("web")), &options());
        let found = chain(&config.rules[0].route);
        assert_eq!(found, ["rate-limit=rate-limit !"], "{text}");
        let problem = the(&problems, message);
        assert_eq!(
            (problem.severity, problem.line),
            (Severity::Error, Some(line))
        );
    }
    let yaml = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n    \
        portcullis.dev/filters: rate-limit\n    portcullis.dev/filter.rate-limit: |\n      requests: 10\n      \
        per: [1s\n      burst: 2\n      requests: 3\n\
        spec: {ingressClassName: portcullis, defaultBackend: {service: {name: web, port: {number: 80}}}}\n";
    let (_, problems) = translated(&(yaml.to_owned() + &service("web")), &options());
    let problem = the(&problems, "the value is not YAML");
    assert_eq!(problem.line, Some(10), "{problem}");
    assert!(
        problem.message.ends_with("(line 3 of the value)"),
        "{problem}"
    );
    let (_, problems) = translated(&(yaml.replace("[1s", "1s") + &service("web")), &options());
    let problem = the(&problems, "the key \"requests\" stands twice");
    assert_eq!(
        (problem.severity, problem.line),
        (Severity::Warning, Some(11))
    );
}
