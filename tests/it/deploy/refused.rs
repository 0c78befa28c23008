//! Values that are wrong: refused before anything is installed, with what is wrong and where.

use std::collections::BTreeSet;

use harness::portcullis;
use serde_json::Value;

use super::{helm, read};

#[test]
fn wrong_values_are_refused_by_name() {
    let long = format!("image.digest=sha256:{}", "0".repeat(63));
    for (value, words) in [
        (
            "kind=StatefulSet",
            &["'/kind'", "'Deployment', 'DaemonSet'"][..],
        ),
        ("hostNetork=true", &["'hostNetork' not allowed"]),
        ("service.typ=NodePort", &["'/service'", "'typ' not allowed"]),
        (
            "service.type=Loadbalancer",
            &["'/service/type'", "'LoadBalancer'"],
        ),
        (
            "config.max-bdy=8Mi",
            &["'/config'", "'max-bdy' not allowed"],
        ),
        (
            "config.head-timeout=10",
            &["'/config/head-timeout'", "got number, want string"],
        ),
        (
            "config.head-timeout=10 s",
            &["'/config/head-timeout'", "does not match"],
        ),
        ("config.tries=many", &["'/config/tries'", "want integer"]),
        (
            "config.proxy-protocol=on",
            &["'/config/proxy-protocol'", "want boolean"],
        ),
        (
            "config.plugin-grants={http,all}",
            &["'/config/plugin-grants/1'"],
        ),
        (
            "config.trusted-proxies=10.0.0.0/8",
            &["'/config/trusted-proxies'", "want array"],
        ),
        ("listen.http=0", &["'/listen/http'", "minimum"]),
        ("listen.metrics=70000", &["'/listen/metrics'", "maximum"]),
        (
            "watchNamespaces={Shop}",
            &["'/watchNamespaces/0'", "'Shop' does not match"],
        ),
        (
            "watchNamespaces={shop,shop}",
            &["'/watchNamespaces'", "are equal"],
        ),
        (
            "defaultTlsSecret=wildcard",
            &["'/defaultTlsSecret'", "does not match"],
        ),
        (
            "ingressClass.controller=nginx",
            &["'/ingressClass/controller'"],
        ),
        (
            "ingressClass.alsoServe[0].name=nginx",
            &["'/ingressClass/alsoServe/0'", "'controller'"],
        ),
        (
            "drain.delaySeconds=10s",
            &["'/drain/delaySeconds'", "want integer"],
        ),
        ("runAsUser=0", &["'/runAsUser'", "minimum"]),
        (
            "resources.limit.cpu=1",
            &["'/resources'", "'limit' not allowed"],
        ),
        (long.as_str(), &["'/image/digest'", "does not match"]),
    ] {
        refused(&[value], words);
    }
}

#[test]
fn values_that_contradict_each_other_are_refused_with_a_remedy() {
    for (values, words) in [
        (
            &["autoscaling.enabled=true", "kind=DaemonSet"][..],
            "write kind: Deployment",
        ),
        (
            &["autoscaling.enabled=true", "autoscaling.minReplicas=11"],
            "the other way around",
        ),
        (
            &["autoscaling.enabled=true", "autoscaling.cpu=0"],
            "write autoscaling.cpu",
        ),
        (
            &["hostNetwork=true", "networkPolicy.enabled=true"],
            "write false for one",
        ),
        (
            &["hostNetwork=true", "hostPorts.http=80"],
            "write the ports under listen",
        ),
        (
            &["fetchCa.configMap=a", "fetchCa.secret=b"],
            "write one of them",
        ),
        (&["listen.http=80"], "write 8080 and 8443"),
        (&["listen.http=9090"], "two listeners have the same port"),
        (
            &["service.type=NodePort", "service.loadBalancerClass=x"],
            "need service.type: LoadBalancer",
        ),
    ] {
        refused(values, &[words]);
    }
}

/// What the program would refuse at its start, the schema refuses before.
#[tokio::test]
async fn nothing_is_refused_where_the_program_refuses_it() {
    let schema: Value =
        serde_json::from_str(&read("helm/portcullis/values.schema.json")).expect("JSON");
    let config = schema["properties"]["config"]["properties"]
        .as_object()
        .expect("flags");
    let numbers = config.iter().filter(|(_, value)| {
        let kind = value["$ref"].as_str().unwrap_or_default();
        ["flagTime", "flagSize", "positive"]
            .iter()
            .any(|of| kind.contains(of))
    });
    let names: Vec<&String> = numbers.map(|(name, _)| name).collect();
    assert!(names.len() > 30, "{names:?}");

    let values: Vec<String> = names
        .iter()
        .map(|name| format!("config.{name}=0"))
        .collect();
    let schema = helm(&values.iter().map(String::as_str).collect::<Vec<_>>()).stderr;
    let flags = names.iter().map(|name| format!("--{name}=0"));
    let flags: Vec<String> = ["run", "--manifests=here"]
        .map(str::to_owned)
        .into_iter()
        .chain(flags)
        .collect();
    let program = portcullis(&flags.iter().map(String::as_str).collect::<Vec<_>>())
        .await
        .stderr;
    let named = |text: &str, start: &str, end: &str| -> BTreeSet<String> {
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(start)?.split_once(end));
        lines.map(|(name, _)| name.to_owned()).collect()
    };
    let refused = named(&schema, "- at '/config/", "'");
    assert_eq!(refused, named(&program, "error: --", " "));
    assert_eq!(
        refused.len() + 2,
        names.len(),
        "max-body and request-timeout may be 0"
    );
}

fn refused(values: &[&str], words: &[&str]) {
    let outcome = helm(values);
    assert_ne!(outcome.code, 0, "{values:?} is taken");
    for word in words {
        assert!(
            outcome.stderr.contains(word),
            "{values:?} {word}: {}",
            outcome.stderr
        );
    }
}
