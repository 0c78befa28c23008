//! The filters that ship, in the whole program: configured natively and by keys of ingress-nginx.

mod affinity;
mod canary;
mod canary_nginx;
mod canary_order;
mod connections;
mod cookies;
mod counts;
mod failover;
mod limits;
mod limits_nginx;
mod order;
mod sessions;
mod wrong;

use harness::{
    Answer, Gateway, GatewayBuilder, IngressBuilder, Request, Upstream, gateway, get, ingress,
    upstream,
};
use serde_json::Value;

/// The Ingress `web`: host `a.test`, everything to the Service `web`.
fn web() -> IngressBuilder {
    ingress("web").host("a.test").path("/", "web", 80)
}

/// The Ingress `web` with this filter and its configuration.
fn filtered(filter: &str, config: &str) -> IngressBuilder {
    web()
        .annotation("portcullis.dev/filters", filter)
        .annotation(&format!("portcullis.dev/filter.{filter}"), config)
}

/// An Ingress with these keys of ingress-nginx.
fn keyed(ingress: IngressBuilder, keys: &[(&str, &str)]) -> IngressBuilder {
    keys.iter().fold(ingress, |ingress, (key, value)| {
        ingress.annotation(&format!("nginx.ingress.kubernetes.io/{key}"), value)
    })
}

/// The Ingress `web` with these keys of ingress-nginx.
fn nginx(keys: &[(&str, &str)]) -> IngressBuilder {
    keyed(web(), keys)
}

/// A canary of `web` with these keys, to the Service `next`.
fn canary(keys: &[(&str, &str)]) -> IngressBuilder {
    let next = ingress("next").host("a.test").path("/", "next", 80);
    keyed(next, &[&[("canary", "true")], keys].concat())
}

/// The backends of the Services `web` and `next`, called so.
struct Backends {
    web: Upstream,
    next: Upstream,
}

impl Backends {
    async fn start() -> Self {
        Self {
            web: upstream().name("web").start().await,
            next: upstream().name("next").start().await,
        }
    }

    /// A gateway in front of both.
    fn gateway(&self) -> GatewayBuilder {
        gateway()
            .service("web", 80, &[&self.web])
            .service("next", 80, &[&self.next])
    }
}

/// A GET of `/` of `a.test`.
fn root() -> Request {
    get("/").host("a.test")
}

/// The same from this client, where the gateway trusts us to say so.
fn by(client: &str) -> Request {
    root().header("X-Forwarded-For", client)
}

/// The answers to a request sent so often, one after the other.
async fn ask(gw: &Gateway, request: &Request, times: usize) -> Vec<Answer> {
    let mut connection = gw.connect().await;
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(connection.ask(request).await);
    }
    answers
}

/// How many of so many requests pass; the others are refused with this status.
async fn passing(gw: &Gateway, request: &Request, times: usize, refusal: u16) -> usize {
    let answers = ask(gw, request, times).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| is_refusal(answer, refusal));
    assert_eq!(passed + refused.count(), times, "{answers:?}");
    passed
}

/// Whether an answer is a refusal in full form.
fn is_refusal(answer: &Answer, status: u16) -> bool {
    let whole = |value: &str| value.parse::<u64>().is_ok_and(|seconds| seconds > 0);
    (answer.status, answer.reason()) == (status, Some("rate-limit"))
        && answer.header("retry-after").is_some_and(whole)
        && answer.header("ratelimit").is_some()
        && answer.header("ratelimit-policy").is_some()
}

/// The seconds after which a refused request may come back.
fn retry_after(answer: &Answer) -> u64 {
    let value = answer.header("retry-after");
    let seconds = value.and_then(|value| value.parse().ok());
    seconds.unwrap_or_else(|| panic!("no refusal: {} {:?}", answer.status, answer.fields))
}

/// How many of so many requests go to the backend of this name.
async fn share(gw: &Gateway, request: &Request, times: usize, name: &str) -> usize {
    let answers = ask(gw, request, times).await;
    let there = answers.iter().filter(|answer| answer.backend() == name);
    there.count()
}

/// Fails where a count is not to be believed of so many independent draws: by Chernoff's bound, a right
/// program fails it in less than one of 10^9 runs.
fn believe(count: usize, draws: usize, probability: f64) {
    let whole = |number: usize| f64::from(u32::try_from(number).expect("a small number"));
    let (count, draws) = (whole(count), whole(draws));
    let found = count / draws;
    let term = |p: f64, q: f64| if p == 0.0 { 0.0 } else { p * (p / q).ln() };
    let distance = term(found, probability) + term(1.0 - found, 1.0 - probability);
    assert!(
        draws * distance < 21.5,
        "{count} of {draws} where each has the chance {probability}"
    );
}

/// What a `set-cookie` field sets: the pair, and the attributes in lower case.
fn cookie(answer: &Answer) -> Option<(String, Vec<String>)> {
    let field = answer.header("set-cookie")?;
    let mut parts = field.split("; ");
    let pair = parts.next().expect("a pair").to_owned();
    Some((pair, parts.map(str::to_lowercase).collect()))
}

/// The pair that a `set-cookie` field sets.
fn pair(answer: &Answer) -> String {
    cookie(answer)
        .unwrap_or_else(|| panic!("no cookie: {} {:?}", answer.status, answer.fields))
        .0
}

/// Waits until the endpoints of the first route have these states, as the routes tell them.
async fn until_states(gw: &Gateway, wanted: &[(&Upstream, &str)]) {
    let state = |endpoints: &[Value], up: &Upstream| {
        let address = up.address().to_string();
        let mut all = endpoints.iter();
        let found = all.find(|endpoint| endpoint["address"] == address.as_str());
        found.map(|endpoint| endpoint["state"].clone())
    };
    harness::until("the endpoints have their states", async || {
        let routes = gw.routes().await;
        let endpoints = routes[0]["endpoints"].as_array().cloned();
        let endpoints = endpoints.unwrap_or_default();
        let right = |(up, wanted): &(&Upstream, &str)| {
            state(&endpoints, up).is_some_and(|state| state == *wanted)
        };
        endpoints.len() == wanted.len() && wanted.iter().all(right)
    })
    .await;
}
