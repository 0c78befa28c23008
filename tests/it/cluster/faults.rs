//! An API server that fails: what was served is served on, and all is caught up with.

use std::{sync::Arc, time::Duration};

use harness::{Fault, Replacement, Streaming, gateway, ingress, pause, until, upstream};
use tokio::sync::oneshot;

use super::*;

/// Ingresses in a large cluster.
const MANY: usize = 5000;

/// Asks for a route all the time, until stopped; how often, and every status that was not 200.
pub(super) struct Probe {
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<(usize, Vec<u16>)>,
}

impl Probe {
    pub(super) fn start(gw: &Arc<Gateway>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let gw = Arc::clone(gw);
        let running = tokio::spawn(async move {
            let (mut asked, mut bad) = (0, Vec::new());
            while stopped.try_recv().is_err() {
                let status = gw.get("a.test", "/").await.status;
                asked += 1;
                if status != 200 {
                    bad.push(status);
                }
                pause(Duration::from_millis(2)).await;
            }
            (asked, bad)
        });
        Self { stop, running }
    }

    pub(super) async fn all_good(self) {
        self.stop.send(()).expect("a probe that runs");
        let (asked, bad) = self.running.await.expect("a probe");
        assert!(
            asked > 0 && bad.is_empty(),
            "{asked} requests, of which {bad:?}"
        );
    }
}

#[tokio::test]
async fn a_watch_that_is_too_old_lists_again_without_a_gap() {
    let (api, _up, gw) = serving().await;
    let gw = Arc::new(gw);
    api.apply(ingress("gone").host("g.test").path("/", "svc", 80));
    gw.until_status("g.test", "/", 200).await;
    let probe = Probe::start(&gw);
    for round in 0..3 {
        // What happens meanwhile is only in the next list.
        api.end_watches();
        api.apply(
            ingress("new")
                .host(&format!("n{round}.test"))
                .path("/", "svc", 80),
        );
        if round == 0 {
            api.delete("ingresses", "default", "gone");
        }
        api.compact();
        gw.until_status(&format!("n{round}.test"), "/", 200).await;
    }
    gw.until_status("g.test", "/", 404).await;
    probe.all_good().await;
}

async fn up_metric(gw: &Gateway) -> f64 {
    let series = "portcullis_cluster_watch_up{resource=\"services\"}";
    gw.metric(series).await
}

#[tokio::test]
async fn a_server_that_is_down_leaves_what_is_served() {
    let (mut api, up, gw) = serving().await;
    let gw = Arc::new(gw);
    let probe = Probe::start(&gw);
    api.stop().await;
    gw.until_problem(&["API server", "does not answer", "last good state"])
        .await;
    assert_eq!(gw.admin_get("/readyz").await.status, 200);
    until("the metric says so", async || up_metric(&gw).await < 1.0).await;
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    api.start().await;
    gw.until_status("b.test", "/", 200).await;
    until("the problem is gone", async || {
        gw.problems().await.is_empty()
    })
    .await;
    assert!(up_metric(&gw).await > 0.0);
    probe.all_good().await;
    drop(up);
}

#[tokio::test]
async fn a_server_that_is_down_at_first_is_waited_for() {
    let (mut api, _up) = routed().await;
    api.stop().await;
    let gw = gateway().cluster(&api).launch().await;
    gw.until_problem(&["API server", "does not answer"]).await;
    assert_eq!(gw.admin_get("/readyz").await.status, 503);
    assert!(
        tokio::net::TcpStream::connect(gw.http()).await.is_err(),
        "nobody listens yet"
    );
    api.start().await;
    until("it is ready", async || {
        gw.admin_get("/readyz").await.status == 200
    })
    .await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_server_that_was_set_back_is_believed() {
    let (mut api, _up, gw) = serving().await;
    for round in 0..20 {
        api.apply(
            ingress("second")
                .host(&format!("n{round}.test"))
                .path("/", "svc", 80),
        );
    }
    gw.until_status("n19.test", "/", 200).await;
    api.stop().await;
    api.set_back();
    api.bookmarks(Duration::from_millis(100));
    api.start().await;
    api.apply(ingress("third").host("t.test").path("/", "svc", 80));
    gw.until_status("t.test", "/", 200).await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn events_that_break_or_come_twice_or_late_do_no_harm() {
    let (api, _up, gw) = serving().await;
    let gw = Arc::new(gw);
    let probe = Probe::start(&gw);
    api.duplicate();
    api.cut();
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    gw.until_status("b.test", "/", 200).await;
    // What cannot be read may have been anything.
    api.send_line("{\"type\": \"ADDED\", \"object\": 7 7}");
    api.apply(ingress("third").host("c.test").path("/", "svc", 80));
    gw.until_status("c.test", "/", 200).await;
    // An old version of an object after a new one.
    let old = api
        .find("ingresses", "default", "third")
        .expect("an Ingress");
    api.apply(ingress("third").host("d.test").path("/", "svc", 80));
    gw.until_status("d.test", "/", 200).await;
    api.send_line(&serde_json::json!({"type": "MODIFIED", "object": old}).to_string());
    api.apply(ingress("fourth").host("e.test").path("/", "svc", 80));
    gw.until_status("e.test", "/", 200).await;
    assert_eq!(gw.get("d.test", "/").await.status, 200);
    assert_eq!(gw.get("c.test", "/").await.status, 404);
    probe.all_good().await;
}

#[tokio::test]
async fn lists_that_fail_are_tried_again() {
    let (api, _up) = routed().await;
    api.streaming(Streaming::Refused);
    api.fault(Fault::status("list", "ingresses", 500).times(2));
    api.fault(Fault::too_many("list", "services", 1));
    api.fault(Fault::slow("secrets", Duration::from_millis(500)));
    api.fault(Fault::gone("endpointslices"));
    let gw = gateway().cluster(&api).start().await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    gw.until_status("b.test", "/", 200).await;
}

#[tokio::test]
async fn five_thousand_ingresses_come_in_pages_or_as_a_stream() {
    let up = upstream().start().await;
    let api = api().await;
    api.service("svc", 80, &[&up]);
    for number in 0..MANY {
        let host = format!("h{number}.test");
        api.apply(
            ingress(&format!("i{number}"))
                .host(&host)
                .path("/", "svc", 80),
        );
    }
    for streaming in [Streaming::Refused, Streaming::Known] {
        api.streaming(streaming);
        let gw = gateway().cluster(&api).start().await;
        assert_eq!(gw.routes().await.len(), MANY);
        assert_eq!(gw.get("h4999.test", "/").await.status, 200);
        api.endpoints("svc", &[]);
        gw.until_status("h0.test", "/", 503).await;
        api.endpoints("svc", &[up.address()]);
        gw.until_status("h4999.test", "/", 200).await;
    }
    let pages = api
        .requests()
        .iter()
        .filter(|r| r.starts_with("list ingresses"))
        .count();
    assert_eq!(pages, MANY.div_ceil(500));
}

#[tokio::test]
async fn a_list_that_grows_too_old_begins_again_as_a_whole() {
    for replacement in [Replacement::Given, Replacement::None] {
        let (api, _up) = routed().await;
        api.streaming(Streaming::Refused);
        for number in 0..1200 {
            let host = format!("h{number}.test");
            let object = ingress(&format!("i{number}")).host(&host);
            api.apply(object.path("/", "svc", 80));
        }
        api.fault(Fault::expired("ingresses", replacement));
        let gw = Arc::new(gateway().cluster(&api).start().await);
        assert_eq!(gw.routes().await.len(), 1201, "all or nothing");
        // Two pages, of which one is refused, and the whole.
        let lists = || {
            let all = api.requests().into_iter();
            all.filter(|r| r.starts_with("list ingresses")).count()
        };
        assert_eq!(lists(), 3);

        // The same when there is something to lose: `web` is on the last page.
        let probe = Probe::start(&gw);
        api.fault(Fault::expired("ingresses", replacement));
        api.end_watches();
        api.delete("ingresses", "default", "i0");
        api.apply(ingress("j").host("new.test").path("/", "svc", 80));
        api.compact();
        gw.until_status("new.test", "/", 200).await;
        gw.until_status("h0.test", "/", 404).await;
        assert_eq!(gw.routes().await.len(), 1201);
        probe.all_good().await;
    }
}
