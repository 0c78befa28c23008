//! Claims about translate class, each a test.

use super::*;

fn class(name: &str, controller: &str, default: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\n\
         metadata: {{name: {name}, annotations: {{ingressclass.kubernetes.io/is-default-class: \"{default}\"}}}}\n\
         spec: {{controller: {controller}}}\n"
    )
}

/// An Ingress with this class in the field and in the annotation; empty for none.
fn of_class(field: &str, annotation: &str) -> String {
    let mut text = ingress("web", &rule("a.example", "/", "web"));
    text = match field {
        "" => text.replace("  ingressClassName: portcullis\n", ""),
        other => text.replace("portcullis", other),
    };
    let annotated =
        format!("name: web, annotations: {{kubernetes.io/ingress.class: {annotation}}},");
    if annotation.is_empty() {
        text
    } else {
        text.replace("name: web,", &annotated)
    }
}

const OURS: &str = "portcullis.dev/ingress-controller";
const THEIRS: &str = "example.com/other";

#[test]
fn the_table_of_class_selection() {
    let none = String::new;
    let cases = [
        // field, annotation, classes, served
        ("portcullis", "", none(), true),
        ("portcullis", "", class("portcullis", OURS, "false"), true),
        (
            "portcullis",
            "",
            class("portcullis", THEIRS, "false"),
            false,
        ),
        ("other", "", none(), false),
        ("other", "", class("other", OURS, "false"), false),
        ("", "portcullis", none(), true),
        (
            "",
            "portcullis",
            class("portcullis", THEIRS, "false"),
            false,
        ),
        ("", "other", class("portcullis", OURS, "true"), false),
        ("portcullis", "other", none(), true),
        ("other", "portcullis", none(), false),
        ("", "", none(), false),
        ("", "", class("portcullis", OURS, "false"), false),
        ("", "", class("portcullis", OURS, "true"), true),
        ("", "", class("portcullis", THEIRS, "true"), false),
        ("", "", class("other", OURS, "true"), false),
        (
            "",
            "",
            class("other", THEIRS, "true") + &class("portcullis", OURS, "true"),
            true,
        ),
        (
            "",
            "",
            class("other", THEIRS, "true") + &class("portcullis", OURS, "false"),
            false,
        ),
    ];
    for (field, annotation, classes, served) in cases {
        let yaml = of_class(field, annotation) + &classes;
        for mode in [Mode::Manifests, Mode::Check, Mode::Cluster] {
            let (config, problems) = translated(&yaml, &in_mode(mode));
            assert_eq!(
                config.rules.len(),
                usize::from(served),
                "{field:?} {annotation:?} {classes}"
            );
            let told = problems
                .iter()
                .any(|p| p.kind == "Ingress" && p.message.contains("class"));
            let both = field != annotation && !field.is_empty() && !annotation.is_empty();
            if mode == Mode::Manifests {
                assert_eq!(
                    told,
                    !served || both,
                    "{field:?} {annotation:?} {classes} {problems:?}"
                );
            }
        }
    }
}

#[test]
fn ingress_nginx_can_be_taken_over() {
    let mut options = options();
    options.classes = vec!["nginx".into()];
    options.controllers = vec!["k8s.io/ingress-nginx".into()];
    let yaml = of_class("nginx", "") + &class("nginx", "k8s.io/ingress-nginx", "false");
    assert_eq!(translated(&yaml, &options).0.rules.len(), 1);
    let yaml = of_class("nginx", "") + &class("nginx", OURS, "false");
    assert_eq!(translated(&yaml, &options).0.rules.len(), 0);
}

#[test]
fn a_class_of_our_controller_that_is_not_served_is_a_note() {
    let (_, problems) = translated(&class("second", OURS, "false"), &options());
    let told = "note second: the class is of our controller, but second is not served here";
    assert_eq!(lines(&problems), [told]);
}

#[test]
fn the_field_counts_where_the_annotation_differs() {
    let (_, problems) = translated(&of_class("portcullis", "other"), &options());
    let problem = the(&problems, "the field names portcullis and counts");
    assert_eq!(
        problem.field.as_deref(),
        Some("metadata.annotations[kubernetes.io/ingress.class]")
    );
}

#[test]
fn parameters_of_a_class_are_ignored_with_a_note() {
    let yaml = class("portcullis", OURS, "false");
    let yaml = yaml.replace("spec: {", "spec: {parameters: {kind: X, name: z}, ");
    let (_, problems) = translated(&yaml, &options());
    assert_eq!(
        lines(&problems),
        ["note portcullis: the parameters of the class are ignored"]
    );
}

#[test]
fn a_class_that_is_not_among_checked_files_is_one_note() {
    let yaml = ingress("a", &rule("a.example", "/", "web"))
        + &ingress("b", &rule("b.example", "/", "web"))
        + &service("web");
    let (_, problems) = translated(&yaml, &in_mode(Mode::Check));
    assert_eq!(
        lines(&problems),
        ["note a: no IngressClass portcullis is among the files"]
    );
}
