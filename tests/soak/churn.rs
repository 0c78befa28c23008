//! The configuration, and how it changes all the time.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use harness::{
    Gateway, GatewayBuilder, IngressBuilder, ingress, pause, plugin, secret, self_signed,
};
use tokio::task::JoinSet;

use crate::{stamp, traffic::Backends, watch::Figures};

/// The gateway as it starts.
pub(crate) fn gateway(backends: &Backends) -> GatewayBuilder {
    harness::gateway()
        .flag("--workers", "2")
        .manifest(ingress("plain").host("plain.test").path("/", "svc", 80))
        .manifest(ingress("flaky").host("flaky.test").path("/", "flaky", 80))
        .manifest(
            ingress("h2c")
                .annotation("portcullis.dev/backend-protocol", "H2C")
                .host("h2c.test")
                .path("/", "h2c", 80),
        )
        .manifest(
            ingress("tls")
                .host("tls.test")
                .path("/", "svc", 80)
                .annotation("portcullis.dev/ssl-redirect", "false")
                .tls(&["tls.test"], "tls"),
        )
        .manifest(filtered(0))
        .manifest(secret("tls", &self_signed(&["tls.test"])))
        .plugin(plugin("stamp", &stamp::component(0)))
        .service("svc", 80, &[&backends.first, &backends.second])
        .service("other", 80, &[&backends.second])
        .service("flaky", 80, &[&backends.flaky, &backends.first])
        .service("h2c", 80, &[&backends.h2c])
}

/// An Ingress with every filter, configured a little differently each time.
fn filtered(number: usize) -> IngressBuilder {
    let limit = format!("{{requests: {}, per: 1s}}", 100_000 + number);
    let canary = format!(
        "{{backends: [{{service: other, port: 80, weight: {}}}]}}",
        number % 3 * 10
    );
    ingress("filtered")
        .host("filtered.test")
        .path("/", "svc", 80)
        .annotation(
            "portcullis.dev/filters",
            "rate-limit, canary, sticky-session, stamp",
        )
        .annotation("portcullis.dev/filter.rate-limit", &limit)
        .annotation("portcullis.dev/filter.canary", &canary)
}

/// Starts the changes.
pub(crate) fn start(
    tasks: &mut JoinSet<()>,
    gateway: &Arc<Gateway>,
    backends: &Backends,
    figures: &Arc<Figures>,
) {
    let addresses = [backends.first.address(), backends.second.address()];
    tasks.spawn_local(objects(Arc::clone(gateway), addresses, Arc::clone(figures)));
    tasks.spawn_local(plugins(Arc::clone(gateway), Arc::clone(figures)));
}

/// Routes come, change and go; endpoints and certificates change: five times a second.
async fn objects(gateway: Arc<Gateway>, [first, second]: [SocketAddr; 2], figures: Arc<Figures>) {
    let pairs: Vec<_> = (0..4).map(|_| self_signed(&["tls.test"])).collect();
    for number in 0_usize.. {
        let name = |number: usize| format!("churn-{}", number % ROUTES);
        match number % 5 {
            0 => {
                let endpoints: [&[SocketAddr]; 3] = [&[first, second], &[second], &[first]];
                let next = endpoints.iter().cycle().nth(number / 5 % 3);
                gateway.endpoints("svc", next.expect("one of them"));
            }
            1 => {
                let pair = pairs.iter().cycle().nth(number / 5 % 4);
                gateway.apply(secret("tls", pair.expect("one of them")));
            }
            2 => gateway.apply(filtered(number)),
            _ => {
                let path = format!("/{number}");
                let host = format!("{}.test", name(number));
                gateway.apply(ingress(&name(number)).host(&host).path(&path, "svc", 80));
                if number > ROUTES && number % 10 == 3 {
                    gateway.delete(ingress(&name(number)));
                } else if number % 50 == 4 {
                    // Now and then the change is waited for.
                    gateway.until_status(&host, &path, 200).await;
                }
            }
        }
        figures.changes.fetch_add(1, Relaxed);
        pause(Duration::from_millis(200)).await;
    }
}

/// The plugin's code is swapped, now and then for what is none, and what serves is looked at.
async fn plugins(gateway: Arc<Gateway>, figures: Arc<Figures>) {
    let versions: Vec<_> = (0..4).map(stamp::component).collect();
    for number in 1_usize.. {
        pause(Duration::from_secs(5)).await;
        if number % 4 == 0 {
            gateway.write_bytes("stamp.wasm", b"no component");
            gateway.until_problem(&["stamp", "Plugin"]).await;
        }
        let version = number % versions.len();
        let code = versions.get(version).expect("one of them");
        gateway.write_bytes("stamp.wasm", code);
        let wanted = version.to_string();
        let what = format!("version {version} of the plugin serves");
        harness::until(&what, async || {
            let answer = gateway.get("filtered.test", "/").await;
            answer.status == 200 && answer.saw().header("x-version") == Some(&wanted)
        })
        .await;
        figures.reloads.fetch_add(1, Relaxed);
    }
}

/// Routes that come and go.
const ROUTES: usize = 40;
