//! Claims about objects, each a test.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fixture::{apply, inspect, objects, secret, service};

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
fn a_reset_leaves_only_what_it_names_and_only_of_its_kind() {
    let mut all = objects(&(service("a") + &service("b")));
    let kept = objects(&service("b"))
        .services
        .find("default", "b")
        .cloned()
        .unwrap();
    all.reset(Kind::Service, vec![Object(Stored::Service(kept))]);
    assert!(
        all.services.find("default", "a").is_none() && all.services.find("default", "b").is_some()
    );
    assert_eq!(all.slices("default", "a").len(), 1);
    all.reset(Kind::EndpointSlice, Vec::new());
    assert_eq!(all.slices("default", "a").len(), 0);
}
