//! What the gateway tells of itself on its admin listener.

use serde_json::Value;

use super::Gateway;
use crate::{Answer, Connection, get, until};

impl Gateway {
    /// How long ago its process was started.
    pub fn since_start(&self) -> std::time::Duration {
        self.process.since_start()
    }

    /// Gets a path of the admin listener.
    pub async fn admin_get(&self, path: &str) -> Answer {
        Connection::open(self.admin)
            .await
            .ask(&get(path).host("localhost").header("Connection", "close"))
            .await
    }

    /// The problems it tells of.
    pub async fn problems(&self) -> Vec<Value> {
        let answer = self.admin_get("/api/v1/problems").await.json();
        answer["problems"]
            .as_array()
            .cloned()
            .expect("a list of problems")
    }

    /// The routes it serves.
    pub async fn routes(&self) -> Vec<Value> {
        let answer = self.admin_get("/api/v1/routes").await.json();
        answer["routes"]
            .as_array()
            .cloned()
            .expect("a list of routes")
    }

    /// The plugins that it tells of.
    pub async fn plugins(&self) -> Vec<Value> {
        let answer = self.admin_get("/api/v1/plugins").await.json();
        answer["plugins"]
            .as_array()
            .cloned()
            .expect("a list of plugins")
    }

    /// The value of a series of its metrics; 0 where there is none.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.admin_get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |rest| rest.trim().parse().expect("a number"))
    }

    /// How often hooks of a filter of an Ingress in `default` were called, and how often its request hook need not be.
    pub async fn filter_calls(&self, ingress: &str, filter: &str) -> (f64, f64) {
        let labels = format!("namespace=\"default\",ingress=\"{ingress}\",filter=\"{filter}\"");
        let series = |what: &str| format!("portcullis_filter_{what}_total{{{labels}}}");
        let calls = self.metric(&series("calls")).await;
        (calls, self.metric(&series("settled")).await)
    }

    /// Waits until a problem says all of these.
    pub async fn until_problem(&self, words: &[&str]) -> Value {
        let mut found = None;
        until(&format!("a problem says {words:?}"), async || {
            let all = self.problems().await;
            found = all
                .into_iter()
                .find(|p| words.iter().all(|word| p.to_string().contains(word)));
            found.is_some()
        })
        .await;
        found.expect("a problem")
    }
}
