//! The filters of one instance, by the id of their configuration.

use std::{cell::RefCell, rc::Rc};

/// The filters, in the order of their ids. There are few, and the gateway gives ids in ascending order.
#[derive(Debug)]
pub struct Table<F>(RefCell<Vec<(u32, Rc<F>)>>);

impl<F> Table<F> {
    /// No filter yet.
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    pub(super) fn insert(&self, id: u32, filter: F) {
        let mut all = self.0.borrow_mut();
        let filter = Rc::new(filter);
        match all.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(index) => {
                if let Some(entry) = all.get_mut(index) {
                    entry.1 = filter;
                }
            }
            Err(index) => all.insert(index, (id, filter)),
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<Rc<F>> {
        let all = self.0.borrow();
        let index = all.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        all.get(index).map(|(_, filter)| Rc::clone(filter))
    }

    pub(super) fn remove(&self, id: u32) {
        self.0.borrow_mut().retain(|(other, _)| *other != id);
    }
}

impl<F> Default for Table<F> {
    fn default() -> Self {
        Self::new()
    }
}
