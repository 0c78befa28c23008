//! Endpoints alone: what is brought up to date is what a new translation would have.

use crate::{Changes, Kind, Translation};

use super::*;

/// An EndpointSlice of one of three Services.
fn slice() -> impl Strategy<Value = (usize, String)> {
    let address = proptest::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.0.0.3", "169.254.1.1"]);
    let addresses = proptest::collection::vec((address, any::<bool>()), 0..4);
    let port = proptest::sample::select(vec![
        "{port: 8080}",
        "{name: web, port: 8080}",
        "{port: 9090}",
    ]);
    (0..3_usize, 0..2_usize, addresses, port).prop_map(|(of, number, addresses, port)| {
        let endpoint = |(address, ready): &(&str, bool)| {
            format!("{{addresses: [{address}], conditions: {{ready: {ready}}}}}")
        };
        let endpoints: Vec<_> = addresses.iter().map(endpoint).collect();
        let yaml = format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: s{of}-{number}, namespace: default, labels: {{kubernetes.io/service-name: s{of}}}}}\n\
             addressType: IPv4\nports: [{port}]\nendpoints: [{}]\n",
            endpoints.join(", ")
        );
        (of * 2 + number, yaml)
    })
}

fn three() -> Objects {
    let paths =
        ["s0", "s1", "s2"].map(|name| ingress(name, &rule(&format!("{name}.example"), "/", name)));
    objects(&(paths.concat() + &service("s0") + &service("s1") + &service("s2")))
}

proptest! {
    #[test]
    fn endpoints_alone_come_to_the_same_as_all_anew(
        slices in proptest::collection::vec((slice(), any::<bool>()), 1..12),
        cluster in any::<bool>(),
    ) {
        let mut options = options();
        if cluster {
            options.mode = Mode::Cluster;
        }
        let mut objects = three();
        let mut kept = Translation::new(&objects, &options);
        prop_assert!(objects.take_changes().others);
        for ((number, yaml), there) in slices {
            if there {
                let _ = apply(&mut objects, &yaml);
            } else {
                objects.delete(Kind::EndpointSlice, "default", &format!("s{}-{}", number / 2, number % 2));
            }
            let Changes { endpoints, others } = objects.take_changes();
            prop_assert!(!others);
            let anew = Translation::new(&objects, &options);
            let Some(moved) = kept.endpoints(&objects, &options, &endpoints) else {
                prop_assert!(!kept.problems.is_empty() || !anew.problems.is_empty());
                kept = anew;
                continue;
            };
            prop_assert_eq!(&anew.problems, &kept.problems);
            let mut config = Config::clone(&kept.config);
            config.clusters.extend(moved);
            prop_assert_eq!(&config, &*anew.config);
            kept = anew;
        }
    }
}

#[test]
fn other_endpoints_need_no_translation_and_their_end_does() {
    let mut objects = three();
    // A line of its own is part of an object.
    apply(&mut objects, &service("s1"));
    let kept = Translation::new(&objects, &options());
    objects.take_changes();
    let more = service("s1").replace("addresses: [127.0.0.1]", "addresses: [127.0.0.2]");
    apply(&mut objects, &more);
    let Changes { endpoints, others } = objects.take_changes();
    assert!(!others);
    assert_eq!(endpoints.len(), 1);
    let moved = kept.endpoints(&objects, &options(), &endpoints).unwrap();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_ne!(kept.config.clusters.get(&moved[0].0), Some(&moved[0].1));

    objects.delete(Kind::EndpointSlice, "default", "s1-1");
    let changes = objects.take_changes();
    assert_eq!(
        kept.endpoints(&objects, &options(), &changes.endpoints),
        None
    );
}

#[test]
fn an_equal_object_is_no_change() {
    let mut objects = three();
    apply(&mut objects, &service("s1"));
    objects.take_changes();
    apply(&mut objects, &service("s1"));
    assert_eq!(objects.take_changes(), Changes::default());
}
