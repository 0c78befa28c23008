//! What changed since somebody last looked.

use std::collections::BTreeSet;

use super::{Kind, Object, object::Stored};

/// What is other than it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The Services, by namespace and name, whose endpoints changed.
    pub endpoints: BTreeSet<(String, String)>,
    /// Whether anything else changed.
    pub others: bool,
}

impl Changes {
    pub(super) fn note(&mut self, object: &Object) {
        let subject = object.subject();
        match &object.0 {
            Stored::Slice(slice) => self.moved(&subject.namespace, &slice.service),
            Stored::Endpoints(..) => self.moved(&subject.namespace, &subject.name),
            Stored::Class(_)
            | Stored::ConfigMap(_)
            | Stored::Ingress(_)
            | Stored::Plugin(_)
            | Stored::Secret(_)
            | Stored::Service(_) => self.others = true,
        }
    }

    pub(super) fn gone(&mut self, kind: Kind, namespace: &str, name: &str) {
        match kind {
            // Which Service's they were is not in their names.
            Kind::EndpointSlice => {}
            Kind::Endpoints => self.moved(namespace, name),
            Kind::ConfigMap
            | Kind::Ingress
            | Kind::IngressClass
            | Kind::Plugin
            | Kind::Secret
            | Kind::Service => self.others = true,
        }
    }

    pub(super) fn moved(&mut self, namespace: &str, service: &str) {
        self.endpoints
            .insert((namespace.to_owned(), service.to_owned()));
    }
}
