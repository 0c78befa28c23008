//! Which Ingresses are ours.

use std::collections::BTreeSet;

use crate::{
    annotations::{self, LEGACY_CLASS},
    objects::{
        Objects,
        model::{Class, Ingress, Marking},
    },
    problem::{Problem, Severity},
};

use super::{Mode, Options};

/// The Ingresses of ours, oldest first.
pub(super) fn select<'a>(
    objects: &'a Objects,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Vec<&'a Ingress> {
    let classes = Classes { objects, options };
    for class in objects
        .classes
        .values()
        .filter(|class| classes.is_controlled(class))
    {
        describe(class, options, problems);
    }
    let watched = |i: &&Ingress| options.watches(&i.subject.namespace);
    let mut all: Vec<&Ingress> = objects.ingresses().filter(watched).collect();
    let mut unknown = BTreeSet::new();
    all.retain(|ingress| {
        let (decision, field) = classes.decide(ingress);
        match (decision, options.mode) {
            (Decision::Ours(Some(class)), Mode::Check) => {
                if !objects.classes.contains_key(class) && unknown.insert(class.to_owned()) {
                    let message = format!("no IngressClass {class} is among the files");
                    let hint = "write one, unless it is in the cluster";
                    problems.push(
                        ingress
                            .subject
                            .problem(Severity::Note, &field, message, hint),
                    );
                }
                true
            }
            (Decision::Ours(_), Mode::Manifests | Mode::Check | Mode::Cluster) => true,
            (Decision::Theirs(_) | Decision::Nobodys, Mode::Cluster) => false,
            (Decision::Theirs(message), Mode::Manifests | Mode::Check) => {
                let hint = format!(
                    "write ingressClassName: {}, if it is meant to be served here",
                    classes.first()
                );
                problems.push(
                    ingress
                        .subject
                        .problem(Severity::Note, &field, message, hint),
                );
                false
            }
            (Decision::Nobodys, Mode::Manifests | Mode::Check) => {
                let message = "the Ingress has no class, and is not served";
                let hint = format!("write ingressClassName: {}", classes.first());
                problems.push(ingress.subject.problem(
                    Severity::Note,
                    "spec.ingressClassName",
                    message,
                    hint,
                ));
                false
            }
        }
    });
    for ingress in &all {
        warn_of_both(ingress, problems);
    }
    all
}

/// Whose an Ingress is.
enum Decision<'a> {
    /// Ours, by this class, or as our class is the default.
    Ours(Option<&'a str>),
    /// Another controller's, for this reason.
    Theirs(String),
    /// It has no class, and no class of ours is the default.
    Nobodys,
}

struct Classes<'a> {
    objects: &'a Objects,
    options: &'a Options,
}

impl Classes<'_> {
    fn decide<'i>(&self, ingress: &'i Ingress) -> (Decision<'i>, String) {
        let legacy = ingress
            .annotation(LEGACY_CLASS)
            .filter(|class| !class.is_empty());
        let (class, field) = match (&ingress.class, legacy) {
            (Some(class), _) => (class.as_str(), "spec.ingressClassName".to_owned()),
            (None, Some(class)) => (class, annotations::field(LEGACY_CLASS)),
            (None, None) => {
                let default = self
                    .objects
                    .classes
                    .values()
                    .any(|class| self.is_our_default(class));
                let decision = if default {
                    Decision::Ours(None)
                } else {
                    Decision::Nobodys
                };
                return (decision, "spec.ingressClassName".to_owned());
            }
        };
        if !self.is_named(class) {
            return (
                Decision::Theirs(format!("the class {class} is not served here")),
                field,
            );
        }
        match self
            .objects
            .classes
            .get(class)
            .filter(|object| !self.is_controlled(object))
        {
            Some(object) => {
                let controller = &object.controller;
                (
                    Decision::Theirs(format!(
                        "the class {class} belongs to the controller {controller}"
                    )),
                    field,
                )
            }
            None => (Decision::Ours(Some(class)), field),
        }
    }

    fn is_our_default(&self, class: &Class) -> bool {
        class.marking == Marking::Default
            && self.is_named(&class.subject.name)
            && self.is_controlled(class)
    }

    fn is_named(&self, class: &str) -> bool {
        self.options.classes.iter().any(|own| own == class)
    }

    fn is_controlled(&self, class: &Class) -> bool {
        self.options.controllers.contains(&class.controller)
    }

    fn first(&self) -> &str {
        self.options
            .classes
            .first()
            .map_or("portcullis", String::as_str)
    }
}

/// What is worth knowing of a class of our controller.
fn describe(class: &Class, options: &Options, problems: &mut Vec<Problem>) {
    let name = &class.subject.name;
    if !options.classes.contains(name) {
        let message = format!("the class is of our controller, but {name} is not served here");
        let hint = format!("start the gateway with --ingress-class {name}, if it is meant to be");
        problems.push(
            class
                .subject
                .problem(Severity::Note, "metadata.name", message, hint),
        );
    }
    if class.parameters {
        let message = "the parameters of the class are ignored";
        problems.push(class.subject.problem(
            Severity::Note,
            "spec.parameters",
            message,
            "take them out",
        ));
    }
}

fn warn_of_both(ingress: &Ingress, problems: &mut Vec<Problem>) {
    let (Some(class), Some(legacy)) = (&ingress.class, ingress.annotation(LEGACY_CLASS)) else {
        return;
    };
    if class != legacy {
        let message = format!(
            "the annotation names the class {legacy}, but the field names {class} and counts"
        );
        let field = annotations::field(LEGACY_CLASS);
        problems.push(ingress.subject.problem(
            Severity::Warning,
            &field,
            message,
            "take the annotation out",
        ));
    }
}
