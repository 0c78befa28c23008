//! Values by namespace and name.

use std::collections::HashMap;

/// Values by namespace and name.
#[derive(Clone, Debug)]
pub(crate) struct Store<T>(HashMap<String, HashMap<String, T>>);

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Store<T> {
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<&T> {
        self.0.get(namespace)?.get(name)
    }

    pub(super) fn find_mut(&mut self, namespace: &str, name: &str) -> Option<&mut T> {
        self.0.get_mut(namespace)?.get_mut(name)
    }

    pub(super) fn entry(&mut self, namespace: &str, name: String) -> &mut T
    where
        T: Default,
    {
        self.0
            .entry(namespace.to_owned())
            .or_default()
            .entry(name)
            .or_default()
    }

    pub(super) fn insert(&mut self, namespace: &str, name: String, value: T) {
        match self.0.get_mut(namespace) {
            Some(names) => drop(names.insert(name, value)),
            None => drop(
                self.0
                    .insert(namespace.to_owned(), HashMap::from([(name, value)])),
            ),
        }
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<T> {
        let names = self.0.get_mut(namespace)?;
        let value = names.remove(name);
        if names.is_empty() {
            self.0.remove(namespace);
        }
        value
    }

    pub(crate) fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &T> {
        self.0.get(namespace).into_iter().flat_map(HashMap::values)
    }

    /// All values, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values().flat_map(HashMap::values)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (String, String)> {
        self.0
            .iter()
            .flat_map(|(ns, names)| names.keys().map(|name| (ns.clone(), name.clone())))
    }
}
