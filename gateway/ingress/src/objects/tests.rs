//! Claims about objects, each a test.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    Severity,
    fixture::{apply, ingress, inspect, objects, plugin, rule, secret, service},
};

#[test]
fn a_certificate_is_inspected_once_for_each_change() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let counting: Inspect = |chain, key| {
        COUNT.fetch_add(1, Ordering::SeqCst);
        inspect(chain, key)
    };
    let mut objects = Objects::new(counting);
    apply(&mut objects, &secret("s", "names: a"));
    apply(&mut objects, &secret("s", "names: a"));
    assert_eq!(COUNT.load(Ordering::SeqCst), 1);
    apply(&mut objects, &secret("s", "names: b"));
    assert_eq!(COUNT.load(Ordering::SeqCst), 2);
}

#[test]
fn a_slice_follows_its_label_to_another_service() {
    let mut objects = objects(&service("a"));
    assert_eq!(objects.slices("default", "a").len(), 1);
    let moved = service("a").replace("service-name: a", "service-name: b");
    apply(&mut objects, &moved);
    assert_eq!(
        (
            objects.slices("default", "a").len(),
            objects.slices("default", "b").len()
        ),
        (0, 1)
    );
    objects.delete(Kind::EndpointSlice, "default", "a-1");
    assert_eq!(objects.slices("default", "b").len(), 0);
}

#[test]
fn a_problem_of_any_object_has_its_place() {
    let objects = objects(
        &(ingress("web", &rule("a.example", "/", "web"))
            + &service("web")
            + &secret("s", "names: a")
            + &plugin("team/geo", "config: {a: 1}")
            + "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: e}\nsubsets: [{addresses: [{ip: 127.0.0.1}]}]\n\
               ---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: c}\nspec: {controller: x.y/z}\n"),
    );
    let at = |kind, namespace, name, field: &str| {
        let message = "what".to_owned();
        let object = (kind, namespace, name);
        let problem = objects.problem(object, field, Severity::Error, message, "do".to_owned());
        problem.to_string()
    };
    for (object, field, place) in [
        (
            (Kind::Ingress, "default", "web"),
            "spec.rules[0].host",
            "test.yaml:8: error: Ingress default/web spec.rules[0].host",
        ),
        (
            (Kind::Service, "default", "web"),
            "",
            "test.yaml:13: error: Service default/web",
        ),
        (
            (Kind::EndpointSlice, "default", "web-1"),
            "ports",
            "test.yaml:22: error: EndpointSlice default/web-1 ports",
        ),
        (
            (Kind::Secret, "default", "s"),
            "",
            "test.yaml:25: error: Secret default/s",
        ),
        (
            (Kind::Plugin, "team", "geo"),
            "spec.config.a",
            "test.yaml:34: error: Plugin team/geo spec.config.a",
        ),
        (
            (Kind::Endpoints, "default", "e"),
            "",
            "test.yaml:36: error: Endpoints default/e",
        ),
        (
            (Kind::IngressClass, "", "c"),
            "",
            "test.yaml:41: error: IngressClass c",
        ),
        (
            (Kind::Plugin, "team", "gone"),
            "spec",
            "error: Plugin team/gone spec",
        ),
    ] {
        let (kind, namespace, name) = object;
        assert_eq!(
            at(kind, namespace, name, field),
            format!("{place}: what; do")
        );
    }
}
