//! What the chart makes of its values, where it matters.

use std::collections::BTreeSet;

use harness::{get, portcullis, run, tool, until};
use serde_json::{Value, json};

use super::{Rendered, VARIANTS, deploy, read, variant};

/// The flags of `portcullis run`.
pub(super) async fn flags() -> BTreeSet<String> {
    let help = portcullis(&["run", "--help"]).await.stdout;
    let words = help.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("-h, ").unwrap_or(line).strip_prefix("--")
    });
    words
        .filter_map(|rest| rest.split([' ', ',']).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn helm_finds_nothing_to_say() {
    let mut lint = tool("helm");
    lint.args(["lint", "--strict"])
        .arg(deploy("helm/portcullis"));
    let outcome = run(&mut lint);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    for mark in ["[WARNING]", "[ERROR]"] {
        assert!(!outcome.stdout.contains(mark), "{}", outcome.stdout);
    }
}

#[tokio::test]
async fn every_argument_is_a_flag_of_the_program() {
    let flags = flags().await;
    for (name, values) in VARIANTS {
        let arguments = variant(values).arguments();
        assert_eq!(arguments[0], "run", "{name}");
        let mut seen = BTreeSet::new();
        for argument in &arguments[1..] {
            let flag = argument.strip_prefix("--").expect("a flag");
            let flag = flag.split('=').next().expect("its name");
            assert!(flags.contains(flag), "{name}: there is no --{flag}");
            assert!(
                seen.insert(flag.to_owned()),
                "{name}: --{flag} stands twice"
            );
        }
    }
}

#[tokio::test]
async fn config_takes_every_flag_that_the_chart_does_not_set() {
    let schema: Value =
        serde_json::from_str(&read("helm/portcullis/values.schema.json")).expect("JSON");
    let config = schema.pointer("/properties/config/properties");
    let config: BTreeSet<String> = config
        .and_then(Value::as_object)
        .expect("properties")
        .keys()
        .cloned()
        .collect();
    let own = SET_BY_CHART.map(str::to_owned);
    let not_there: Vec<_> = config.difference(&flags().await).cloned().collect();
    assert!(not_there.is_empty(), "no such flags: {not_there:?}");
    let missing: Vec<_> = flags()
        .await
        .into_iter()
        .filter(|flag| !config.contains(flag) && !own.contains(flag))
        .collect();
    assert!(
        missing.is_empty(),
        "add to config in values.schema.json: {missing:?}"
    );
}

/// Flags that values have other names for, or that make no sense in a pod.
const SET_BY_CHART: [&str; 20] = [
    "admin",
    "controller",
    "default-tls-secret",
    "drain-delay",
    "drain-timeout",
    "fetch-ca",
    "help",
    "http",
    "https",
    "ingress-class",
    "kubeconfig",
    "leader-lease",
    "manifests",
    "metrics",
    "plugin-cache",
    "publish-address",
    "publish-nodes",
    "publish-service",
    "redirect-port",
    "watch-namespace",
];

/// The gateway reads its rendered arguments, but for where it listens and keeps things.
#[tokio::test]
async fn rendered_arguments_start_a_gateway() {
    for values in [&[][..], &["examples/everything.yaml"]] {
        let rendered = variant(values);
        let folder = tempfile::TempDir::new().expect("a folder");
        let cache = folder.path().join("plugins");
        let mut gateway = harness::gateway().flag("--metrics", "127.0.0.1:0");
        gateway = gateway.flag("--plugin-cache", &cache.display().to_string());
        for argument in rendered.arguments().iter().skip(1) {
            gateway = match argument.split_once('=') {
                Some((name, _)) if ELSEWHERE.contains(&name) => gateway,
                Some((name, value)) => gateway.flag(name, value),
                // The probes of this test come without its header.
                None if argument == "--proxy-protocol" => gateway,
                None => gateway.switch(argument),
            };
        }
        let gw = gateway.start().await;
        let metrics = gw.listener("metrics").await;
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let probe = &rendered.container()[probe]["httpGet"];
            assert_eq!(probe["port"], "metrics");
            let path = probe["path"].as_str().expect("a path");
            until("the probe passes", async || {
                let mut connection = harness::Connection::open(metrics).await;
                connection.ask(&get(path).host("pod")).await.status == 200
            })
            .await;
        }
    }
}

/// What is elsewhere on a machine that is no pod.
const ELSEWHERE: [&str; 7] = [
    "--http",
    "--https",
    "--metrics",
    "--admin",
    "--plugin-cache",
    "--plugins",
    "--fetch-ca",
];

#[test]
fn ports_lead_from_service_to_listener() {
    for (name, values) in VARIANTS {
        let rendered = variant(values);
        let ports = rendered.container()["ports"].as_array().expect("ports");
        let named = |wanted: &str| {
            let port = ports.iter().find(|port| port["name"] == wanted);
            port.unwrap_or_else(|| panic!("{name}: no port {wanted}"))
        };
        for listener in ["http", "https", "metrics"] {
            let address = format!(":{}", named(listener)["containerPort"]);
            assert_eq!(
                rendered.flag(&format!("--{listener}")),
                Some(address),
                "{name}"
            );
        }
        for service in rendered.all("Service") {
            for port in service["spec"]["ports"].as_array().expect("ports") {
                named(port["targetPort"].as_str().expect("a name"));
            }
            // Metrics never go where everyone is.
            let public = service["spec"]["clusterIP"] != "None";
            let metrics = service["spec"]["ports"].to_string().contains("metrics");
            assert_ne!(public, metrics, "{name}: {service}");
        }
        assert_eq!(
            ports.len(),
            3,
            "{name}: the admin listener is no port of the pod"
        );
        let admin = rendered.flag("--admin").expect("an address");
        assert!(admin.starts_with("127.0.0.1:"), "{name}: {admin}");
    }
}

#[test]
fn pods_have_no_more_rights_than_they_need() {
    for (name, values) in VARIANTS {
        let rendered = variant(values);
        let pod = rendered.pod();
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["runAsUser"], 65532, "{name}");
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        let low = rendered.flag("--http").as_deref() == Some(":80");
        assert_eq!(low, matches!(name, "edge nodes"), "{name}");
        let capabilities = match low {
            true => json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
            false => json!({"drop": ["ALL"]}),
        };
        let expected = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": capabilities,
        });
        assert_eq!(rendered.container()["securityContext"], expected, "{name}");
        assert!(
            pod["hostPID"].is_null() && pod["hostIPC"].is_null(),
            "{name}"
        );
        assert_eq!(pod["hostNetwork"] == true, low, "{name}");
        // The one place that it writes to.
        let cache = &rendered.container()["volumeMounts"][0]["mountPath"];
        let cache = format!("{}/plugins", cache.as_str().expect("a path"));
        assert_eq!(rendered.flag("--plugin-cache"), Some(cache), "{name}");
        assert!(
            pod["volumes"][0]["emptyDir"]["sizeLimit"].is_string(),
            "{name}"
        );
    }
}

#[test]
fn a_pod_has_time_to_drain() {
    let rendered = Rendered::with(&["drain.delaySeconds=15", "drain.timeoutSeconds=100"]);
    assert_eq!(rendered.flag("--drain-delay").as_deref(), Some("15s"));
    assert_eq!(rendered.flag("--drain-timeout").as_deref(), Some("100s"));
    assert_eq!(rendered.pod()["terminationGracePeriodSeconds"], 120);
    assert!(rendered.container()["lifecycle"].is_null());
}

#[test]
fn values_stay_values() {
    // Neither YAML nor an argument of its own comes of them, nor a variable of Kubernetes.
    let evil =
        r#"config.log-level=info" \n- --allow-external-name \$(POD_NAME) {{ .Release.Name }}"#;
    let rendered = Rendered::with(&[evil, "config.max-body=8388608", "config.tries=1000000"]);
    let level = rendered.flag("--log-level").expect("a level");
    assert!(
        level.starts_with(r#"info" "#) && level.ends_with("$$(POD_NAME) {{ .Release.Name }}"),
        "{level}"
    );
    assert!(
        !rendered
            .arguments()
            .iter()
            .any(|a| a == "--allow-external-name")
    );
    assert_eq!(rendered.flag("--max-body").as_deref(), Some("8388608"));
    assert_eq!(rendered.flag("--tries").as_deref(), Some("1000000"));
}

#[test]
fn a_daemon_set_is_for_edge_nodes() {
    let edge = variant(&["examples/edge.yaml"]);
    let workload = edge.only("DaemonSet");
    assert!(workload["spec"]["replicas"].is_null());
    let pod = edge.pod();
    assert_eq!(pod["dnsPolicy"], "ClusterFirstWithHostNet");
    assert!(
        pod["nodeSelector"]
            .as_object()
            .is_some_and(|nodes| nodes.len() > 1)
    );
    assert!(
        pod["tolerations"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );
    for kind in ["Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"] {
        assert!(!edge.has(kind), "{kind}");
    }
    assert_eq!(edge.flag("--publish-service"), None);
    // The labels are those of its own pods.
    let nodes = edge.flag("--publish-nodes").expect("the flag");
    let labels = nodes
        .strip_prefix("edge/")
        .expect("the release's namespace");
    let own = &workload["spec"]["template"]["metadata"]["labels"];
    for label in labels.split(',') {
        let (name, value) = label.split_once('=').expect("a label");
        assert_eq!(own[name], value, "{name}");
    }
    let hosts = Rendered::with(&["hostPorts.http=80", "hostPorts.https=443"]);
    let rolling = &hosts.only("Deployment")["spec"]["strategy"]["rollingUpdate"];
    assert_eq!(rolling, &json!({"maxUnavailable": 1, "maxSurge": 0}));
}

#[test]
fn services_keep_the_clients_address() {
    for kind in ["LoadBalancer", "NodePort"] {
        let rendered = Rendered::with(&[&format!("service.type={kind}")]);
        let spec = &rendered.only("Service")["spec"];
        assert_eq!(spec["externalTrafficPolicy"], "Local");
        assert_eq!(
            rendered.flag("--publish-service").as_deref(),
            Some("edge/web-portcullis")
        );
    }
    let inside = Rendered::with(&["service.type=ClusterIP"]);
    assert!(inside.only("Service")["spec"]["externalTrafficPolicy"].is_null());
    let named = Rendered::with(&["publishAddresses={192.0.2.1,edge.example.com}"]);
    assert_eq!(
        named.flag("--publish-address").as_deref(),
        Some("192.0.2.1,edge.example.com")
    );
    assert_eq!(named.flag("--publish-service"), None);
}

#[test]
fn classes_of_ingress_nginx_are_taken_over() {
    let rendered = variant(&["examples/take-over.yaml"]);
    assert_eq!(
        rendered.flag("--ingress-class").as_deref(),
        Some("portcullis,nginx")
    );
    let controllers = "portcullis.dev/ingress-controller,k8s.io/ingress-nginx";
    assert_eq!(rendered.flag("--controller").as_deref(), Some(controllers));
    assert_eq!(
        rendered.only("IngressClass")["metadata"]["name"],
        "portcullis"
    );
    let later = variant(&[
        "examples/take-over.yaml",
        "ingressClass.alsoServe[0].create=true",
    ]);
    assert_eq!(later.all("IngressClass").count(), 2);
    let default = Rendered::with(&["ingressClass.default=true"]);
    let mark = &default.only("IngressClass")["metadata"]["annotations"];
    assert_eq!(mark["ingressclass.kubernetes.io/is-default-class"], "true");
}
