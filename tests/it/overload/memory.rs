//! Memory: load is shed before the limit is reached.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use harness::{Connection, Frame, Frames, Gateway, Payload, Reply, get, ingress, upstream};
use tokio::net::TcpStream;

const MEBIBYTE: u64 = 1 << 20;
/// A few times what the program takes when it starts.
const LIMIT: u64 = 160 * MEBIBYTE;
const CONNECTIONS: u32 = 50;
const STREAMS: u32 = 100;

/// Asks for large responses on every stream of a connection and takes none; again and again.
async fn attack(address: SocketAddr, rounds: Arc<AtomicUsize>) {
    loop {
        let Ok(stream) = TcpStream::connect(address).await else {
            return;
        };
        let mut frames = Frames::over(stream).await;
        for number in 0..STREAMS {
            let frame = Frame::get(number * 2 + 1, "big.test", "/");
            frames.send(&frame).await;
        }
        while frames.next().await.is_some() {}
        rounds.fetch_add(1, Relaxed);
    }
}

/// What became of other clients' requests.
#[derive(Debug, Default)]
struct Others {
    served: usize,
    shed: usize,
    closed: usize,
}

impl Others {
    async fn ask(&mut self, gw: &Gateway) -> bool {
        let mut connection = Connection::open(gw.http()).await;
        match connection.try_ask(&get("/").host("a.test")).await {
            Ok(answer) if answer.status == 200 => self.served += 1,
            Ok(answer) => {
                assert_eq!((answer.status, answer.reason()), (503, Some("overload")));
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                assert_eq!(answer.header("connection"), Some("close"));
                self.shed += 1;
                return false;
            }
            Err(_) => {
                self.closed += 1;
                return false;
            }
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_not_read_are_shed_before_the_limit() {
    let up = upstream().start().await;
    let big = upstream()
        .http2()
        .answer(|_| Reply::of(200, Payload::Many(8 << 20)))
        .start()
        .await;
    let gw = crate::in_front_of(&up)
        .manifest(
            ingress("big")
                .annotation("portcullis.dev/backend-protocol", "H2C")
                .host("big.test")
                .path("/", "big", 80),
        )
        .service("big", 80, &[&big])
        .flag("--memory-limit", &LIMIT.to_string())
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    let start = gw.resident();
    assert!(start < LIMIT / 2, "{start} bytes at the start");

    let rounds = Arc::new(AtomicUsize::new(0));
    let attackers: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(attack(gw.http(), Arc::clone(&rounds))))
        .collect();
    let mut others = Others::default();
    harness::until("load is shed", async || {
        others.ask(&gw).await;
        gw.metric("portcullis_connections_shed_total").await > 0.0
    })
    .await;
    let problem = gw.until_problem(&["Portcullis", "memory is short"]).await;
    assert_eq!(problem["severity"], "error");
    // The attack goes on, and others are still served in between.
    let before = others.served;
    harness::until("others are served during the attack", async || {
        others.ask(&gw).await;
        others.served > before + 20
    })
    .await;
    for attacker in attackers {
        attacker.abort();
    }

    harness::until("the pressure is gone", async || {
        gw.metric("portcullis_memory_pressure").await == 0.0
    })
    .await;
    harness::until("everything is served again", async || others.ask(&gw).await).await;
    harness::until("connections are kept again", async || {
        let mut kept = gw.connect().await;
        for _ in 0..3 {
            let answer = kept.try_ask(&get("/").host("a.test")).await;
            if !answer.is_ok_and(|a| a.status == 200 && a.header("connection").is_none()) {
                return false;
            }
        }
        true
    })
    .await;
    harness::until("the problem is resolved", async || {
        gw.problems().await.is_empty()
    })
    .await;
    let peak = gw.peak_resident();
    println!(
        "limit {} MiB, start {}, peak {}, {} streams at once, {} connections shed, {} requests shed, \
         {} attackers came back; others: {others:?}",
        LIMIT / MEBIBYTE,
        start / MEBIBYTE,
        peak / MEBIBYTE,
        CONNECTIONS * STREAMS,
        gw.metric("portcullis_connections_shed_total").await,
        gw.metric("portcullis_requests_shed_total").await,
        rounds.load(Relaxed),
    );
    // Whoever runs beside these tests may hold up both the look and what follows from it; without
    // limit it would be more than a gigabyte.
    assert!(peak < LIMIT * 5 / 4, "{peak} of {LIMIT} bytes");
}

#[tokio::test]
async fn without_room_from_the_start_everything_is_refused_and_told() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up)
        .flag("--memory-limit", "1Mi")
        .start()
        .await;
    gw.until_problem(&["memory is short", "--memory-limit"])
        .await;
    let mut others = Others::default();
    assert!(!others.ask(&gw).await && others.served == 0);
    assert!(gw.metric("portcullis_connections_refused_total").await > 0.0);
    assert_eq!(gw.metric("portcullis_memory_limit_bytes").await, 1048576.0);
}
