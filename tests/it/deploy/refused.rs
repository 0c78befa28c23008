//! Values that are wrong: refused before anything is installed, with what is wrong and where.

use super::helm;

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
