//! Reload is nothing: configuration changes close nothing, fail nothing, and cost no memory.

mod folder;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use harness::{Connection, Framing, Gateway, Payload, Reply, get, ingress, upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CHANGES: u32 = 1_000;

/// An Ingress that differs from change to change.
fn change(number: u32) -> harness::IngressBuilder {
    let mut object = ingress("churn").host("churn.test");
    for path in 0..20 {
        object = object.path(&format!("/{}", number + path), "svc", 80);
    }
    object.path("/current", "svc", 80).annotation(
        "portcullis.dev/response-timeout",
        &format!("{}s", 10 + number % 50),
    )
}

/// Asks on one connection until told to stop; what went wrong.
async fn load(gw: Arc<Gateway>, stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> Vec<String> {
    let mut connection: Connection = gw.connect().await;
    let mut wrong = Vec::new();
    while !stop.load(Ordering::SeqCst) && wrong.len() < 5 {
        match connection.try_ask(&get("/").host("a.test")).await {
            Ok(answer) if answer.status == 200 => drop(count.fetch_add(1, Ordering::SeqCst)),
            Ok(answer) => wrong.push(format!("{} {:?}", answer.status, answer.reason())),
            Err(error) => {
                wrong.push(format!("{error:?}"));
                connection = gw.connect().await;
            }
        }
        // Leaves the machine some room: what counts is that none fails.
        harness::pause(Duration::from_millis(2)).await;
    }
    wrong
}

#[tokio::test]
async fn a_thousand_changes_close_nothing_and_fail_nothing() {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let slot = std::sync::Mutex::new(Some(receiver));
    let up = upstream()
        .answer(move |seen| match seen.target.as_str() {
            "/ws" => Reply::upgrade("websocket"),
            "/slow" => {
                let pieces = slot
                    .lock()
                    .ok()
                    .and_then(|mut slot| slot.take())
                    .expect("one download");
                Reply::of(200, Payload::Stream(Some(u64::from(CHANGES)), pieces))
            }
            _ => Reply::echo(),
        })
        .start()
        .await;
    let gw = Arc::new(crate::in_front_of(&up).flag("--workers", "2").start().await);

    // A WebSocket and a slow download are open before the first change.
    let mut websocket = gw.connect().await;
    let asked = get("/ws")
        .host("a.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    assert_eq!(websocket.ask(&asked).await.status, 101);
    let mut websocket = websocket.into_stream();
    let mut download = gw.connect().await;
    download.send(get("/slow").host("a.test").bytes()).await;
    assert_eq!(
        download.head("GET").await.expect("a head").framing,
        Framing::Length(u64::from(CHANGES))
    );

    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let tasks: Vec<_> = (0..2)
        .map(|_| tokio::spawn(load(gw.clone(), stop.clone(), count.clone())))
        .collect();
    let mut early = 0;
    for number in 0..CHANGES {
        gw.apply(change(number));
        sender.send(vec![b'x']).expect("an open download");
        download.exactly(1).await.expect("a byte of the download");
        if number % 50 == 0 {
            websocket.write_all(b"ping").await.expect("an open tunnel");
            let mut back = [0; 4];
            harness::within("an echo", websocket.read_exact(&mut back))
                .await
                .expect("an open tunnel");
        }
        if number == CHANGES / 5 {
            early = gw.resident();
        }
        harness::pause(Duration::from_millis(10)).await;
    }
    gw.until_status("churn.test", &format!("/{}", CHANGES + 18), 200)
        .await;
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        let wrong = harness::within("the load to end", task)
            .await
            .expect("no panic");
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    assert!(count.load(Ordering::SeqCst) > 500, "{count:?}");
    let late = gw.resident();
    assert!(
        late < early + (16 << 20),
        "{} MiB became {} MiB",
        early >> 20,
        late >> 20
    );

    // The download ends whole, the tunnel still passes bytes.
    drop(sender);
    websocket.write_all(b"last").await.expect("an open tunnel");
    let mut back = [0; 4];
    harness::within("an echo", websocket.read_exact(&mut back))
        .await
        .expect("an open tunnel");
    assert_eq!(&back, b"last");
}

#[tokio::test]
async fn a_broken_file_leaves_what_it_held() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let name = ingress("web").object().file();
    for broken in [
        "spec: [unclosed",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: we",
        "\u{0}\u{1}",
        "- a\n- b\n",
    ] {
        gw.write(&name, broken);
        gw.until_problem(&[&name]).await;
        assert_eq!(gw.get("a.test", "/").await.status, 200, "{broken:?}");
        gw.apply(ingress("web").host("a.test").path("/", "svc", 80));
        harness::until("the problem is gone", async || {
            gw.problems()
                .await
                .iter()
                .all(|p| !p["file"].to_string().contains(&name))
        })
        .await;
    }
    gw.remove(&name);
    gw.until_status("a.test", "/", 404).await;
}

#[tokio::test]
async fn a_broken_document_leaves_the_others_of_its_file() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let good = |name: &str| {
        ingress(name)
            .host(&format!("{name}.test"))
            .path("/", "svc", 80)
            .object()
            .0
            .to_string()
    };
    gw.write(
        "many.yaml",
        &format!("{}\n---\nkind: [\n---\n{}\n", good("one"), good("two")),
    );
    gw.until_status("one.test", "/", 200).await;
    gw.until_status("two.test", "/", 200).await;
    gw.until_problem(&["many.yaml"]).await;
}

#[tokio::test]
async fn an_object_that_the_api_would_refuse_leaves_what_it_was() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let refused = [
        ingress("web").host("*.*.test").path("/", "svc", 80),
        ingress("web").host("a.test").path("relative", "svc", 80),
        ingress("web").host("a.test").typed("Regex", "/", "svc", 80),
        ingress("web").host("1.2.3.4").path("/", "svc", 80),
        ingress("web").host("a.test").path("/x//y", "svc", 80),
    ];
    for (number, object) in refused.into_iter().enumerate() {
        gw.apply(object);
        let marker = format!("m{number}.test");
        gw.apply(ingress("marker").host(&marker).path("/", "svc", 80));
        gw.until_status(&marker, "/", 200).await;
        assert_eq!(gw.get("a.test", "/").await.status, 200, "number {number}");
        let problem = gw.until_problem(&["\"web\"", "Ingress"]).await;
        assert_eq!(problem["severity"], "error", "{problem}");
    }
}
