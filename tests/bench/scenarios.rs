//! What is compared with the peers.

use std::rc::Rc;

use crate::{
    Plan, backend, client,
    load::{Load, get, upload},
    peers::{self, Proxy, Site},
    race::{Runner, Score, race},
};

/// A load, and by how much the better of nginx and HAProxy may be cheaper or must be dearer.
struct Scenario {
    name: &'static str,
    load: Load,
    goal: Goal,
}

enum Goal {
    OfBest(f64),
    OfEach { nginx: f64, haproxy: f64 },
}

pub(crate) async fn run(plan: &Plan) {
    let one = Site::new(
        vec![("a.test".into(), "/".into(), 0)],
        vec![backend::start().await],
    );
    let request = get("a.test", "/some/path?and=query", "");
    let once = get("a.test", "/some/path?and=query", "connection: close\r\n");
    let connector = client::connector(one.roots.clone());
    let scenarios = [
        Scenario {
            name: "HTTP/1.1",
            load: Load::KeepAlive(Rc::new(vec![request.clone()])),
            goal: Goal::OfBest(1.05),
        },
        Scenario {
            name: "TLS 1.3",
            load: Load::Tls(Rc::new(vec![request]), connector.clone()),
            goal: Goal::OfBest(0.9),
        },
        Scenario {
            name: "HTTP/2 over TLS",
            load: Load::Http2,
            goal: Goal::OfEach {
                nginx: 0.8,
                haproxy: 1.15,
            },
        },
        Scenario {
            name: "new connection",
            load: Load::Connections(once.clone()),
            goal: Goal::OfBest(1.05),
        },
        Scenario {
            name: "full handshake",
            load: Load::Handshakes(once, connector),
            goal: Goal::OfBest(0.55),
        },
        Scenario {
            name: "1 MiB upload",
            load: Load::Bodies(upload()),
            goal: Goal::OfBest(0.7),
        },
        Scenario {
            name: "1 MiB download",
            load: Load::Bodies(get("a.test", "/big", "")),
            goal: Goal::OfBest(0.9),
        },
        Scenario {
            name: "WebSocket message",
            load: Load::WebSocket,
            goal: Goal::OfBest(1.0),
        },
    ];
    println!("CPU µs of the proxy a turn (a request, a connection, a message) | turns a second");
    let chosen = |scenario: &&Scenario| plan.has(scenario.name);
    if scenarios.iter().any(|scenario| chosen(&scenario)) {
        let proxies = peers::all(&one).await;
        for scenario in scenarios.iter().filter(chosen) {
            measure(plan, scenario, &proxies).await;
        }
    }
    if plan.has("5,000 hosts") {
        hosts(plan).await;
    }
}

/// 5,000 hosts with two paths each, over 100 Services.
async fn hosts(plan: &Plan) {
    let mut backends = Vec::new();
    for _ in 0..SERVICES {
        backends.push(backend::start().await);
    }
    let mut routes = Vec::new();
    let mut requests = Vec::new();
    for host in 0..5000 {
        let name = format!("host-{host}.example.com");
        for (index, path) in ["/", "/api"].into_iter().enumerate() {
            routes.push((name.clone(), path.to_owned(), (host * 2 + index) % SERVICES));
            requests.push(get(&name, &format!("{path}?some=query"), ""));
        }
    }
    let site = Site::new(routes, backends);
    let scenario = Scenario {
        name: "5,000 hosts",
        load: Load::KeepAlive(Rc::new(requests)),
        goal: Goal::OfBest(0.95),
    };
    measure(plan, &scenario, &peers::all(&site).await).await;
}

async fn measure(plan: &Plan, scenario: &Scenario, proxies: &[Proxy]) {
    let runners = proxies
        .iter()
        .map(|proxy| Runner::new(proxy.name, proxy, scenario.load.clone()));
    let scores = race(plan, runners.collect()).await;
    print(scenario, &scores);
}

fn print(scenario: &Scenario, scores: &[Score]) {
    let of = |name: &str| scores.iter().find(|score| score.name == name);
    let to = |peer: &str| match (of("portcullis"), of(peer)) {
        (Some(ours), Some(peer)) => ours.of(peer),
        _ => f64::NAN,
    };
    let (nginx, haproxy) = (to("nginx"), to("haproxy"));
    let (ratio, goal, met) = match scenario.goal {
        Goal::OfBest(goal) => {
            let ratio = nginx.max(haproxy);
            (format!("{ratio:.2}"), format!("{goal:.2}"), ratio <= goal)
        }
        Goal::OfEach {
            nginx: first,
            haproxy: second,
        } => (
            format!("{nginx:.2} / {haproxy:.2}"),
            format!("{first:.2} / {second:.2}"),
            nginx <= first && haproxy <= second,
        ),
    };
    let verdict = if met { "reached" } else { "missed" };
    println!(
        "\n{}: {ratio} of the best peer, goal {goal}: {verdict}",
        scenario.name
    );
    for score in scores {
        println!(
            "    {:<11} {:>8.2} µs  ±{:>3.0} %  {:>9.0}/s",
            score.name,
            score.micros,
            score.spread * 50.0,
            score.rate
        );
    }
}

const SERVICES: usize = 100;
