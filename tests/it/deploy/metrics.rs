//! Dashboard and alerts ask for metrics and labels that the gateway has.

use std::collections::{BTreeMap, BTreeSet};

use harness::{get, upstream};
use serde_json::Value;

use super::{deploy, documents, read, variant};

/// Every query of the dashboard, and every alert's.
fn queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&read("helm/portcullis/dashboards/portcullis.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.len() > 10);
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let mut all: Vec<&Value> = targets.map(|target| &target["expr"]).collect();
    let variables = dashboard["templating"]["list"]
        .as_array()
        .expect("variables");
    all.extend(variables.iter().map(|variable| &variable["query"]["query"]));
    let rules = documents(&read("helm/portcullis/rules/portcullis.yaml"));
    let rules = rules[0]["groups"][0]["rules"].as_array().expect("rules");
    all.extend(rules.iter().map(|rule| &rule["expr"]));
    let text = all.into_iter().filter_map(Value::as_str).map(str::to_owned);
    text.collect()
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The metrics that a query names, each with what stands in its braces.
fn selectors(query: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in query
        .match_indices("portcullis_")
        .chain(query.match_indices("process_"))
    {
        let (_, rest) = query.split_at(at);
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        found.push((
            name.to_owned(),
            labels.map_or("", |(labels, _)| labels).to_owned(),
        ));
    }
    found
}

/// The names of all series and their labels, after every kind of thing has happened.
async fn scraped() -> BTreeMap<String, BTreeSet<String>> {
    let up = upstream().start().await;
    let limited = harness::ingress("web")
        .annotation("portcullis.dev/filters", "rate-limit")
        .annotation("portcullis.dev/filter.rate-limit", "{requests: 1, per: 1h}");
    let gw = harness::gateway()
        .manifest(limited.host("a.test").path("/", "svc", 80))
        .service("svc", 80, &[&up])
        .start()
        .await;
    gw.until_status("a.test", "/", 429).await;
    let text = gw.admin_get("/metrics").await.text();
    // Failures have no series before the first; here it is enough that the metric is declared.
    let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in declared {
        let (name, kind) = line.split_once(' ').expect("a type");
        let suffix = if kind == "counter" && !name.ends_with("_total") {
            "_total"
        } else {
            ""
        };
        all.entry(format!("{name}{suffix}")).or_default();
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels
            .split(',')
            .filter_map(|label| label.split_once('='))
            .map(|(key, _)| key.to_owned());
        all.entry(name.to_owned()).or_default().extend(labels);
    }
    all
}

#[tokio::test]
async fn every_query_finds_its_metrics_and_labels() {
    let there = scraped().await;
    let mut seen = BTreeSet::new();
    for query in queries() {
        let query = query.as_str();
        for (name, labels) in selectors(query) {
            let known = there
                .get(&name)
                .unwrap_or_else(|| panic!("there is no {name}: {query}"));
            for label in labels.split(',').filter_map(|part| part.split('=').next()) {
                let label = label.trim();
                let known = known.is_empty() || label.is_empty() || known.contains(label);
                assert!(known, "{name} has no label {label}: {query}");
            }
            seen.insert(name);
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}

#[test]
fn monitors_scrape_the_port_of_metrics() {
    let rendered = variant(&["examples/everything.yaml"]);
    for (kind, endpoints, interval) in [
        ("ServiceMonitor", "endpoints", "15s"),
        ("PodMonitor", "podMetricsEndpoints", "30s"),
    ] {
        let monitor = rendered.only(kind);
        assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
        let endpoint = &monitor["spec"][endpoints][0];
        assert_eq!(
            (&endpoint["port"], &endpoint["path"]),
            (&"metrics".into(), &"/metrics".into())
        );
        assert_eq!(endpoint["interval"], interval);
        // The pods and the headless Service, and nothing else.
        let wanted = monitor["spec"]["selector"]["matchLabels"]
            .as_object()
            .expect("labels");
        let carries = |labels: &Value| wanted.iter().all(|(key, value)| &labels[key] == value);
        let services: Vec<_> = rendered
            .all("Service")
            .filter(|s| carries(&s["metadata"]["labels"]))
            .collect();
        if kind == "ServiceMonitor" {
            assert_eq!(services.len(), 1);
            assert_eq!(services[0]["spec"]["ports"][0]["name"], "metrics");
        } else {
            let workload = rendered.only("Deployment");
            assert!(carries(&workload["spec"]["template"]["metadata"]["labels"]));
        }
    }
    let rules = rendered.only("PrometheusRule");
    let file = documents(&read("helm/portcullis/rules/portcullis.yaml")).remove(0);
    assert_eq!(rules["spec"], file);
    let dashboard = rendered.only("ConfigMap");
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    let file = std::fs::read_to_string(deploy("helm/portcullis/dashboards/portcullis.json"));
    assert_eq!(
        dashboard["data"]["portcullis.json"],
        file.expect("a dashboard")
    );
}

#[tokio::test]
async fn metrics_are_scraped_where_the_chart_says() {
    let gw = harness::gateway()
        .flag("--metrics", "127.0.0.1:0")
        .start()
        .await;
    let metrics = gw.listener("metrics").await;
    let mut connection = harness::Connection::open(metrics).await;
    let answer = connection.ask(&get("/metrics").host("pod")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("portcullis_ready 1"));
}
