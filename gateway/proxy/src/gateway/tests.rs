//! Configurations in the order in which they are published.

use std::{
    sync::{Arc, LazyLock},
    thread,
};

use proptest::prelude::*;
use route::{HostPattern, PathPattern, Route, Rule};

use super::*;

static GATEWAY: LazyLock<Arc<Gateway>> = LazyLock::new(gateway);

fn gateway() -> Arc<Gateway> {
    Gateway::new(Settings::default(), AccessLog::off(), || ()).unwrap()
}

/// A configuration whose only rule says which one it is.
fn config(number: u8) -> Config {
    let route = Route {
        rule_path: format!("/{number}"),
        ..Route::default()
    };
    Config {
        rules: vec![Rule {
            host: HostPattern::Any,
            path: PathPattern::Prefix("/".to_owned()),
            route: Arc::new(route),
        }],
        ..Config::default()
    }
}

fn serves(gateway: &Gateway, number: u8) -> bool {
    let route = gateway.find("a.test", "/");
    route.is_some_and(|route| route.config.rule_path == format!("/{number}"))
}

proptest! {
    #[test]
    fn the_last_one_is_served_and_equal_ones_change_nothing(numbers in proptest::collection::vec(0_u8..3, 1..12)) {
        for number in numbers {
            let (before, had) = (GATEWAY.generation(), serves(&GATEWAY, number));
            GATEWAY.publish(&Arc::new(config(number)), &Filters::default());
            prop_assert!(serves(&GATEWAY, number));
            prop_assert_eq!(GATEWAY.generation(), before + u64::from(!had));
        }
    }
}

#[test]
fn whoever_looks_while_others_publish_never_sees_an_older_one_again() {
    let gateway = gateway();
    thread::scope(|scope| {
        let publishers: Vec<_> = [0, 100]
            .into_iter()
            .map(|first| {
                let gateway = &gateway;
                scope.spawn(move || {
                    for number in first..first + 50 {
                        gateway.publish(&Arc::new(config(number)), &Filters::default());
                    }
                })
            })
            .collect();
        let mut last = 0;
        while !publishers.iter().all(thread::ScopedJoinHandle::is_finished) {
            let now = gateway.generation();
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
    });
    assert_eq!(gateway.generation(), 100);
    assert!(serves(&gateway, 49) || serves(&gateway, 149));
}
