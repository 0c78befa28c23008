//! Problems that are found after the translation, with the place of their object.

use crate::problem::{Problem, Severity, Subject};

use super::{Kind, Objects};

impl Objects {
    /// A problem of an object by its kind, namespace and name, with the file and line of the field
    /// where the object was read from a file. `field` may be empty, and the object unknown.
    pub fn problem(
        &self,
        (kind, namespace, name): (Kind, &str, &str),
        field: &str,
        severity: Severity,
        message: String,
        hint: String,
    ) -> Problem {
        match self.subject(kind, namespace, name) {
            Some(subject) => subject.problem(severity, field, message, hint),
            None => {
                let subject = Subject {
                    kind: kind.name(),
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    source: None,
                };
                subject.problem(severity, field, message, hint)
            }
        }
    }

    pub(super) fn subject(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Subject> {
        match kind {
            Kind::IngressClass => self.classes.get(name).map(|class| &class.subject),
            Kind::Ingress => self.ingresses.find(namespace, name).map(|i| &i.subject),
            Kind::Service => self.services.find(namespace, name).map(|s| &s.subject),
            Kind::EndpointSlice => {
                let service = self.slice_service.find(namespace, name)?;
                let slices = self.slices.find(namespace, service)?;
                slices.get(name).map(|slice| &slice.subject)
            }
            Kind::Endpoints => {
                let subsets = self.endpoints.find(namespace, name)?;
                subsets.first().map(|subset| &subset.subject)
            }
            Kind::Secret => {
                let state = self.secrets.find(namespace, name)?;
                state.current.as_ref().map(|(secret, _)| &secret.subject)
            }
            Kind::ConfigMap => self.config_maps.find(namespace, name).map(|m| &m.subject),
            Kind::Plugin => self.plugins.find(namespace, name).map(|p| &p.subject),
        }
    }
}
