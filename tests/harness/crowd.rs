//! A cluster with very many objects, which change all the time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    Api, Connection, Gateway, Object, Random, Upstream, api, endpoint, get, ingress, pause,
    service, slice, until, upstream,
};

/// Routes of an API server: an Ingress, a Service and an EndpointSlice each. Those of the first half
/// always lead somewhere.
pub struct Crowd {
    /// The API server.
    pub api: Api,
    backends: [Upstream; 2],
    routes: Vec<Route>,
    random: Random,
}

/// What a route is now.
#[derive(Clone, Copy, Default)]
struct Route {
    backend: usize,
    generation: u32,
    gone: bool,
}

impl Crowd {
    /// An API server with so many objects, and two backends.
    pub async fn of(objects: usize) -> Self {
        let backends = [
            upstream().name("amber").start().await,
            upstream().name("basalt").start().await,
        ];
        let crowd = Self {
            api: api().await,
            backends,
            routes: vec![Route::default(); objects / 3],
            random: Random::seeded(7),
        };
        for number in 0..crowd.routes.len() {
            crowd.api.apply(service(&name(number), &[("http", 80)]));
            crowd.api.apply(crowd.slice(number));
            crowd.api.apply(crowd.ingress(number));
        }
        crowd
    }

    /// How many routes there are.
    pub fn routes(&self) -> usize {
        self.routes.len()
    }

    fn slice(&self, number: usize) -> Object {
        let address = self.backends[self.routes[number].backend].address();
        let endpoints = [endpoint(address, &json!({"ready": true}))];
        slice(&name(number), "a", ("http", address.port()), &endpoints)
    }

    fn ingress(&self, number: usize) -> Object {
        let service = name(number);
        let own = ingress(&service)
            .host(&host(number))
            .path("/", &service, 80);
        let other = extra(number, self.routes[number].generation);
        own.host(&other).path("/", &service, 80).object()
    }

    /// Changes one object: mostly endpoints, then Ingresses, then Services in what nothing depends on.
    pub fn change(&mut self) {
        let number = self.random.below(self.routes.len());
        let half = self.routes.len() / 2;
        match self.random.below(10) {
            0..6 => {
                self.routes[number].backend ^= 1;
                self.api.apply(self.slice(number));
            }
            6 | 7 if !self.routes[number].gone => {
                self.routes[number].generation += 1;
                self.api.apply(self.ingress(number));
            }
            8 if number >= half && self.routes[number].gone => {
                self.routes[number].gone = false;
                self.api.apply(self.ingress(number));
            }
            8 if number >= half => {
                self.routes[number].gone = true;
                self.api.delete("ingresses", "default", &name(number));
            }
            _ => {
                let note = json!({"round": self.random.below(1 << 20).to_string()});
                let same = service(&name(number), &[("http", 80)]);
                self.api.apply(same.set("metadata/annotations", note));
            }
        }
    }

    /// Changes objects at this rate for this long; how many.
    pub async fn churn(&mut self, rate: u32, time: Duration) -> u32 {
        let (start, mut changes) = (Instant::now(), 0);
        while start.elapsed() < time {
            let due = start + Duration::from_secs(1) * changes / rate;
            pause(due.saturating_duration_since(Instant::now())).await;
            self.change();
            changes += 1;
        }
        changes
    }

    /// Waits until a gateway serves each route as it is now.
    pub async fn is_served_by(&self, gw: &Gateway) {
        let mut connection = gw.connect().await;
        for (number, route) in self.routes.iter().enumerate() {
            let (host, backend) = (host(number), ["amber", "basalt"][route.backend]);
            let what = format!("{host} is at {backend}, unless it is gone: {}", route.gone);
            until(&what, async || {
                let answer = connection.ask(&get("/").host(&host)).await;
                match route.gone {
                    true => answer.status == 404,
                    false => answer.status == 200 && answer.text().contains(backend),
                }
            })
            .await;
            for generation in route.generation.saturating_sub(1)..=route.generation {
                let now = generation == route.generation && !route.gone;
                let wanted = if now { 200 } else { 404 };
                let extra = extra(number, generation);
                until(&format!("{extra} answers {wanted}"), async || {
                    connection.ask(&get("/").host(&extra)).await.status == wanted
                })
                .await;
            }
        }
    }

    /// Forgets what backends saw.
    pub fn forget(&self) {
        self.backends.iter().for_each(Upstream::forget);
    }

    /// Asks a gateway for routes that always lead somewhere, until told to stop.
    pub fn client(&self, gw: &Arc<Gateway>) -> Client {
        let (stop, mut stopped) = oneshot::channel();
        let (gw, half) = (Arc::clone(gw), self.routes.len() / 2);
        let running = tokio::spawn(async move {
            let (mut random, mut asked) = (Random::seeded(11), 0);
            let mut bad = Vec::new();
            let mut connection: Connection = gw.connect().await;
            while stopped.try_recv().is_err() {
                let host = host(random.below(half));
                match connection.try_ask(&get("/").host(&host)).await {
                    Ok(answer) if answer.status == 200 => {}
                    other => {
                        bad.push(format!("{host}: {other:?}"));
                        connection = gw.connect().await;
                    }
                }
                asked += 1;
                pause(Duration::from_millis(2)).await;
            }
            (asked, bad)
        });
        Client { stop, running }
    }
}

/// Requests that are sent all the time.
pub struct Client {
    stop: oneshot::Sender<()>,
    running: JoinHandle<(usize, Vec<String>)>,
}

impl Client {
    /// Stops; how many requests there were, and what became of those that failed.
    pub async fn stop(self) -> (usize, Vec<String>) {
        let _running = self.stop.send(());
        self.running.await.expect("a client")
    }
}

fn name(number: usize) -> String {
    format!("r{number}")
}

fn host(number: usize) -> String {
    format!("h{number}.test")
}

/// A host that changes with each generation of an Ingress.
fn extra(number: usize, generation: u32) -> String {
    format!("g{generation}.h{number}.test")
}
