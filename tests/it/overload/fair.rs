//! A flood at one place leaves the others their part.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use harness::{Connection, Gate, Reply, TlsOptions, get, ingress, upstream};
use tokio::net::TcpStream;

/// How long each of so many requests on one connection takes, sorted.
async fn times(connection: &mut Connection, count: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        let started = Instant::now();
        let answer = connection.ask(&get("/").host("a.test")).await;
        assert_eq!(answer.status, 200);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times
}

fn told(what: &str, times: &[Duration]) -> String {
    let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
    format!("{what}: median {middle:?}, longest {last:?}")
}

/// Shakes hands again and again.
async fn handshakes(address: SocketAddr) {
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            let _refused = TlsOptions::lenient().over(stream, "a.test").await;
        }
    }
}

/// Connects and leaves again and again.
async fn visits(address: SocketAddr) {
    loop {
        drop(TcpStream::connect(address).await);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_on_one_listener_does_not_starve_the_other() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut plain = gw.connect().await;
    let mut secure = gw.tls(&TlsOptions::lenient(), "a.test").await.http1();
    println!("{}", told("plain, alone", &times(&mut plain, 200).await));
    println!("{}", told("TLS, alone", &times(&mut secure, 200).await));

    let flood: Vec<_> = (0..50)
        .map(|_| tokio::spawn(handshakes(gw.https())))
        .collect();
    let before = gw.metric("portcullis_tls_handshakes_total").await;
    let beside = times(&mut plain, 200).await;
    let made = gw.metric("portcullis_tls_handshakes_total").await - before;
    println!("{}", told("plain, beside a flood of handshakes", &beside));
    println!("{made} handshakes meanwhile");
    for task in flood {
        task.abort();
    }
    assert!(made > 0.0, "there was no flood");

    let flood: Vec<_> = (0..50).map(|_| tokio::spawn(visits(gw.http()))).collect();
    let before = gw.metric("portcullis_connections_accepted_total").await;
    let beside = times(&mut secure, 200).await;
    let made = gw.metric("portcullis_connections_accepted_total").await - before;
    println!("{}", told("TLS, beside a flood of connections", &beside));
    println!("{made} connections meanwhile");
    for task in flood {
        task.abort();
    }
    assert!(made > 0.0, "there was no flood");
}

#[tokio::test]
async fn one_listener_cannot_take_all_connections() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up)
        .flag("--max-connections", "40")
        .flag("--max-listener-connections", "30")
        .start()
        .await;
    let mut open = Vec::new();
    for _ in 0..40 {
        let mut connection = gw.connect().await;
        if connection.try_ask(&get("/").host("a.test")).await.is_ok() {
            open.push(connection);
        }
    }
    assert_eq!(open.len(), 30);
    assert_eq!(
        gw.metric("portcullis_connections_refused_total").await,
        10.0
    );
    assert_eq!(gw.get_tls("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_slow_service_does_not_take_what_others_need() {
    let up = upstream().start().await;
    let gate = Gate::closed();
    let opened = gate.clone();
    let slow = upstream()
        .answer(move |_| Reply::echo().after(&opened))
        .start()
        .await;
    let gw = crate::in_front_of(&up)
        .manifest(ingress("slow").host("slow.test").path("/", "slow", 80))
        .service("slow", 80, &[&slow])
        .flag("--max-connections", "40")
        .start()
        .await;
    let mut waiting = Vec::new();
    for number in 1..=60 {
        let mut connection = gw.connect().await;
        connection.send(get("/").host("slow.test").bytes()).await;
        waiting.push(connection);
        harness::until("it waits for the backend, or was refused", async || {
            let shed = gw.metric("portcullis_requests_shed_total").await;
            slow.seen().len() as f64 + shed >= f64::from(number)
        })
        .await;
    }
    let held = slow.seen().len();
    println!("of 60 requests to the slow service {held} wait for it");
    assert!((20..=36).contains(&held), "{held} of 40");
    for _ in 0..20 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
    }
    gate.open();
    let mut statuses = Vec::new();
    for connection in &mut waiting {
        let answer = connection.answer("GET").await.expect("an answer");
        statuses.push((answer.status, answer.reason().map(str::to_owned)));
    }
    let served = statuses.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(served, held);
    let refused = (503, Some("overload".to_owned()));
    assert!(
        statuses.iter().all(|s| s.0 == 200 || *s == refused),
        "{statuses:?}"
    );
    gw.until_served().await;
}
