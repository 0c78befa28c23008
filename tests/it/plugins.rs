//! Filters of others in front of real backends: chains, Plugin documents, live changes, and code
//! that means harm.

mod apart;
mod bodies;
mod chains;
mod changes;
mod documents;
mod fields;
mod files;
mod hostile;
mod others;
mod parts;
mod refused;
mod seen;
mod slow;
mod sources;
mod streams;
mod views;
mod waiting;

use harness::{Gateway, GatewayBuilder, IngressBuilder, Upstream, gateway, ingress};

/// An Ingress for `a.test` with this chain, and configurations by alias.
fn web(chain: &str, configs: &[(&str, &str)]) -> IngressBuilder {
    let object = ingress("web")
        .host("a.test")
        .path("/", "svc", 80)
        .annotation("portcullis.dev/filters", chain);
    configs.iter().fold(object, |object, (alias, config)| {
        object.annotation(&format!("portcullis.dev/filter.{alias}"), config)
    })
}

/// A gateway with this Ingress, and beside it one for `b.test` without filters.
fn beside(up: &Upstream, object: IngressBuilder) -> GatewayBuilder {
    gateway()
        .manifest(object)
        .manifest(ingress("next").host("b.test").path("/", "svc", 80))
        .service("svc", 80, &[up])
}

/// What `a.test` answers: status and reason.
async fn verdict(gw: &Gateway) -> (u16, Option<String>) {
    let answer = gw.get("a.test", "/").await;
    (answer.status, answer.reason().map(str::to_owned))
}

/// Waits until `a.test` answers with this reason; none is a 200.
async fn until_reason(gw: &Gateway, reason: Option<&str>) {
    let what = format!("a.test answers {reason:?}");
    harness::until(&what, async || {
        let (status, word) = verdict(gw).await;
        word.as_deref() == reason && (status == 200) == reason.is_none()
    })
    .await;
}

/// What the filter `stamp` says to the backend of a host.
async fn version(gw: &Gateway, host: &str) -> Option<String> {
    let answer = gw.get(host, "/").await;
    let saw = (answer.status == 200).then(|| answer.saw());
    saw.and_then(|saw| saw.header("x-version").map(str::to_owned))
}
