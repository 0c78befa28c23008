//! What watches tell, as objects and problems.

use k8s_openapi::api::{core::v1::Secret, networking::v1::Ingress};
use serde_json::{Value, json};

use super::{item::Item, kinds::Scope, *};
use crate::{
    manifest,
    objects::{Kind, plugin::ApiPlugin},
};

fn objects() -> Objects {
    Objects::new(|_, _| Err("no certificate".to_owned()))
}

fn ingress(namespace: &str, name: &str, path_type: &str) -> manifest::Found {
    let object = json!({
        "metadata": {
            "name": name, "namespace": namespace, "resourceVersion": "7", "generation": 3,
            "managedFields": [{"manager": "us", "operation": "Apply", "subresource": "status",
                "fieldsV1": {"f:status": {}}}, {"manager": "them", "operation": "Update"}],
        },
        "spec": {"ingressClassName": "portcullis", "rules": [{"host": "a.test", "http": {"paths": [
            {"path": "/", "pathType": path_type, "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    });
    let item: Item<Ingress> = serde_json::from_value(object).unwrap();
    let facts = item.facts.unwrap();
    assert_eq!(facts.managers, ["us"]);
    assert_eq!(facts.generation, 3);
    assert_eq!(
        facts.status["loadBalancer"]["ingress"][0]["ip"],
        "192.0.2.1"
    );
    item.found
}

fn secret(name: &str) -> manifest::Found {
    let object = json!({"metadata": {"name": name, "namespace": "a"}, "data": {"tls.crt": "eA==", "tls.key": "eA=="}});
    serde_json::from_value::<Item<Secret>>(object)
        .unwrap()
        .found
}

fn of(kind: Kind, namespace: &str) -> Target {
    let scope = Scope::Namespace(namespace.to_owned());
    Target { kind, scope }
}

fn names(objects: &Objects, kind: Kind) -> Vec<String> {
    let names = objects.names(kind).into_iter();
    names
        .map(|(namespace, name)| format!("{namespace}/{name}"))
        .collect()
}

#[test]
fn a_list_replaces_what_its_watch_gave_and_nothing_else() {
    let (mut inbox, mut objects) = (Inbox::default(), objects());
    for namespace in ["a", "b"] {
        let target = of(Kind::Ingress, namespace);
        inbox.expect(target.clone());
        let all = vec![
            ingress(namespace, "x", "Prefix"),
            ingress(namespace, "y", "Prefix"),
        ];
        inbox.take(Message::Reset(target, all), &mut objects);
    }
    let again = vec![ingress("a", "y", "Prefix"), ingress("a", "z", "Wrong")];
    inbox.take(Message::Reset(of(Kind::Ingress, "a"), again), &mut objects);
    assert_eq!(names(&objects, Kind::Ingress), ["a/y", "b/x", "b/y"]);
    let told = inbox.problems("server");
    assert_eq!(told.len(), 1);
    assert!(!told[0].message.contains("last good"), "{}", told[0]);
    // One that was good before goes on.
    let worse = ingress("b", "x", "Wrong");
    inbox.take(
        Message::Apply(of(Kind::Ingress, "b"), Box::new(worse)),
        &mut objects,
    );
    assert_eq!(names(&objects, Kind::Ingress), ["a/y", "b/x", "b/y"]);
    assert!(
        inbox
            .problems("server")
            .iter()
            .any(|p| p.message.contains("last good"))
    );
    assert_eq!(inbox.rejected().len(), 2);
    // Its problem goes with it, and so does that of one that never was good.
    inbox.take(
        Message::Reset(of(Kind::Ingress, "a"), Vec::new()),
        &mut objects,
    );
    inbox.take(
        Message::Reset(of(Kind::Ingress, "b"), Vec::new()),
        &mut objects,
    );
    assert!(names(&objects, Kind::Ingress).is_empty() && inbox.problems("server").is_empty());
}

#[test]
fn a_secret_stays_while_any_watch_has_it() {
    let (mut inbox, mut objects) = (Inbox::default(), objects());
    let listed = of(Kind::Secret, "a");
    let named = Target::named(Kind::Secret, ("a".to_owned(), "s".to_owned()));
    inbox.expect(listed.clone());
    inbox.expect(named.clone());
    let key = secret("s").key;
    inbox.take(
        Message::Reset(listed.clone(), vec![secret("s"), secret("t")]),
        &mut objects,
    );
    inbox.take(
        Message::Reset(named.clone(), vec![secret("s")]),
        &mut objects,
    );
    let is_current = |objects: &Objects| objects.contains(Kind::Secret, "a", "s");
    inbox.take(Message::Delete(listed.clone(), key.clone()), &mut objects);
    assert!(is_current(&objects));
    inbox.take(Message::Reset(named.clone(), Vec::new()), &mut objects);
    assert!(!is_current(&objects));
    inbox.take(
        Message::Apply(listed.clone(), Box::new(secret("s"))),
        &mut objects,
    );
    inbox.forget(&named, &mut objects);
    assert!(is_current(&objects) && inbox.is_listed(&named));
    // What a watch that was given up still says does not count.
    inbox.take(Message::Delete(named, key), &mut objects);
    assert!(is_current(&objects));
}

#[test]
fn nothing_is_complete_without_ingresses() {
    let (mut inbox, mut objects) = (Inbox::default(), objects());
    let (ingresses, plugins) = (of(Kind::Ingress, "a"), of(Kind::Plugin, "a"));
    inbox.expect(ingresses.clone());
    inbox.expect(plugins.clone());
    inbox.take(
        Message::Health(ingresses.clone(), Health::Forbidden(String::new())),
        &mut objects,
    );
    inbox.take(Message::Health(plugins, Health::Absent), &mut objects);
    assert!(!inbox.is_complete(Instant::now()));
    inbox.take(Message::Reset(ingresses.clone(), Vec::new()), &mut objects);
    inbox.take(Message::Health(ingresses.clone(), Health::Up), &mut objects);
    assert!(inbox.is_complete(Instant::now()));
    let told: Vec<String> = inbox
        .problems("server")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("warning: Cluster a/plugins.portcullis.dev: "),
        "{told:?}"
    );
}

#[test]
fn a_kind_that_is_not_needed_is_waited_for_a_while() {
    let failing = Health::Failing("no".to_owned());
    let away = Health::Away("no".to_owned());
    for (plugins, seconds) in [(failing.clone(), 10), (away, 40), (Health::Waiting, 40)] {
        let (mut inbox, mut objects) = (Inbox::default(), objects());
        let ingresses = of(Kind::Ingress, "a");
        let (needed, other) = (of(Kind::Service, "a"), of(Kind::Plugin, "a"));
        for target in [&ingresses, &needed, &other] {
            inbox.expect(target.clone());
        }
        let mut tell = |inbox: &mut Inbox, message| inbox.take(message, &mut objects);
        tell(&mut inbox, Message::Reset(ingresses.clone(), Vec::new()));
        tell(&mut inbox, Message::Health(ingresses, Health::Up));
        tell(&mut inbox, Message::Health(needed.clone(), failing.clone()));
        tell(&mut inbox, Message::Health(other, plugins));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        // Without Services there is nothing to serve, however long it takes.
        assert!(!inbox.is_complete(start) && !inbox.is_complete(after(1000)));
        tell(&mut inbox, Message::Health(needed, Health::Up));
        assert!(!inbox.is_complete(after(1000)));
        assert!(!inbox.is_complete(after(1000 + seconds - 1)));
        assert!(inbox.is_complete(after(1000 + seconds)));
    }
}

#[test]
fn what_is_nested_too_deep_harms_itself_alone() {
    let plugin = |name: &str, levels: usize| {
        let (open, close) = ("{\"a\":".repeat(levels), "}".repeat(levels));
        format!(
            "{{\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"a\"}},\"spec\":{{\"source\":\
             {{\"file\":\"x.wasm\"}},\"config\":{open}1{close}}}}}"
        )
    };
    for levels in [65, 97, 98, 99, 124, 125, 140, 10_000] {
        let items = [
            plugin("before", 1),
            plugin("deep", levels),
            plugin("after", 64),
        ];
        let list = format!("{{\"metadata\":{{}},\"items\":[{}]}}", items.join(","));
        let list: kube::core::ObjectList<Item<ApiPlugin>> = serde_json::from_str(&list).unwrap();
        let good: Vec<bool> = list
            .iter()
            .map(|item| item.found.object.is_some())
            .collect();
        assert_eq!(good, [true, false, true], "{levels}");
        let problem = list.items[1].found.problems[0].to_string();
        assert_eq!(
            problem,
            "error: Plugin a/deep spec.config: the configuration is nested too deeply; \
             write it with fewer levels"
        );
    }
}

#[test]
fn what_is_not_a_string_stays_what_it_is() {
    let object = json!({"metadata": {"name": "g", "namespace": "a"}, "spec": {"source": {"file": "g.wasm"},
        "config": {"fieldsV1": {"a": 1.5, "b": [true, null, -3, 18446744073709551615_u64]}}}});
    let node: manifest::Node<'_> = serde_json::from_value(object.clone()).unwrap();
    let mut read: Value = node.to_json();
    let big = read["spec"]["config"]["fieldsV1"]["b"][3].take();
    assert!(big.as_f64().unwrap() > 1e19);
    let mut wanted = object;
    wanted["spec"]["config"]["fieldsV1"]["b"][3].take();
    assert_eq!(read, wanted);
}
