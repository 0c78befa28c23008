//! Code that means harm: the gateway lives, a neighbour on the same worker is served meanwhile, the
//! status is the right one, and what it took is given back.

use std::time::{Duration, Instant};

use harness::{Gateway, GatewayBuilder, Reply, Upstream, get, ingress, plugin, upstream};
use serde_json::json;

use super::{
    beside,
    parts::{DROP, Kit, doing, stamp},
    web,
};
use crate::guests::Guest;

/// One kind of harm on a host of its own.
struct Harm {
    name: &'static str,
    code: Vec<u8>,
    /// A word in `portcullis-reason`; none where the request passes.
    reason: Option<&'static str>,
    limits: serde_json::Value,
}

fn harm(name: &'static str, code: Vec<u8>, reason: &'static str) -> Harm {
    let limits = json!({"memory": "4Mi"});
    Harm {
        name,
        code,
        reason: Some(reason),
        limits,
    }
}

fn slow(harm: Harm) -> Harm {
    Harm {
        limits: json!({"memory": "4Mi", "time": "200ms"}),
        ..harm
    }
}

fn recursing() -> Vec<u8> {
    let own = "(func $again (param i64) (result i64)\n (i64.add (call $again (local.get 0)) (i64.const 1)))";
    Guest {
        own: own.to_owned(),
        ..Guest::on_request("(drop (call $again (i64.const 0))) i32.const 16")
    }
    .build()
}

fn tables() -> Vec<u8> {
    let own = "(table $t 1 funcref)";
    let grow = "(loop (drop (table.grow $t (ref.null func) (i32.const 1000))) (br 0)) i32.const 16";
    Guest {
        own: own.to_owned(),
        ..Guest::on_request(grow)
    }
    .build()
}

/// Calls something of the host for ever.
fn flooding(interface: &str, name: &str, params: usize, result: &str, call: &str) -> Vec<u8> {
    let mut kit = Kit::default();
    let function = kit.import(interface, name, (params, result));
    let (x, y) = (kit.text("flood"), kit.text("value"));
    let call = call
        .replace("$f", &function)
        .replace("$x", &x)
        .replace("$y", &y);
    let world = match interface {
        "log" => "import portcullis:filter/log@0.1.0;",
        "metrics" => "import portcullis:filter/metrics@0.1.0;",
        "key-value" => "import portcullis:filter/key-value@0.1.0;",
        "rate-limit" => "import portcullis:filter/rate-limit@0.1.0;",
        _ => "",
    };
    kit.build(Guest {
        world,
        ..Guest::on_request(&format!("(loop {call} (br 0)) (i32.const 16)"))
    })
}

/// Opens buckets and gives none back.
fn leaking() -> Vec<u8> {
    let mut kit = Kit::default();
    let open = kit.import("rate-limit", "[static]bucket.open", (5, ""));
    let name = kit.text("name");
    let rule = kit.text(b"\x01\0\0\0\x60\xea\0\0\x02\0\0\0");
    let at = rule
        .split_once(") ")
        .map(|(at, _)| format!("{at})"))
        .expect("a place");
    let steps = format!(
        "(loop (call {open} {name} {at} (i32.const 1) (i32.const 2048)) (br 0)) (i32.const 16)"
    );
    kit.build(Guest {
        world: "import portcullis:filter/rate-limit@0.1.0;",
        ..Guest::on_request(&steps)
    })
}

fn harms() -> Vec<Harm> {
    let copy = "(loop (memory.copy (i32.const 0) (i32.const 65536) (i32.const 65536)) (br 0)) i32.const 16";
    let page = "(loop (drop (memory.grow (i32.const 1))) (br 0)) i32.const 16";
    let all = "(drop (memory.grow (i32.const 60000))) i32.const 16";
    let log = flooding("log", "write", 3, "", "(call $f (i32.const 3) $x)");
    let counter = flooding(
        "metrics",
        "counter",
        4,
        "(result i32)",
        "(drop (call $f $x (i32.const 0) (i32.const 0)))",
    );
    let set = flooding(
        "key-value",
        "set",
        7,
        "",
        "(call $f $x $y (i32.const 0) (i32.const 0) (i32.const 2048))",
    );
    let tls = flooding(
        "types",
        "[method]request.tls",
        1,
        "(result i32)",
        "(drop (call $f (local.get $req)))",
    );
    vec![
        harm(
            "loop",
            doing("(loop (br 0)) i32.const 16"),
            "plugin-timeout",
        ),
        harm("copy", doing(copy), "plugin-timeout"),
        harm("page", doing(page), "plugin-memory"),
        harm("all", doing(all), "plugin-memory"),
        harm("tables", tables(), "plugin-memory"),
        harm("recursion", recursing(), "plugin-trap"),
        harm("unreachable", doing("unreachable"), "plugin-trap"),
        harm(
            "outside",
            doing("(drop (i32.load (i32.const -8))) i32.const 16"),
            "plugin-trap",
        ),
        harm("kept", doing("(i32.const 16)"), "plugin-trap"),
        harm(
            "nonsense",
            doing(&format!(
                "(i32.store8 (i32.const 512) (i32.const 7)) {DROP} (i32.const 512)"
            )),
            "plugin-trap",
        ),
        slow(harm("log", log, "plugin-trap")),
        slow(harm("counter", counter, "plugin-trap")),
        slow(harm("set", set, "plugin-trap")),
        slow(harm("tls", tls, "plugin-trap")),
        slow(harm("leak", leaking(), "plugin-trap")),
        Harm {
            limits: json!({"time": "100ms"}),
            ..harm(
                "loop-aside",
                doing("(loop (br 0)) i32.const 16"),
                "plugin-timeout",
            )
        },
        Harm {
            reason: None,
            ..harm("fine", stamp("1"), "")
        },
    ]
}

fn hosting(up: &Upstream) -> GatewayBuilder {
    let grants = json!({"random": true, "metrics": true, "rateLimit": true, "keyValue": {"maxBytes": "64Ki"}});
    harms()
        .into_iter()
        .fold(beside(up, web("", &[])), |builder, harm| {
            let plugin = plugin(harm.name, &harm.code)
                .with("limits", harm.limits)
                .with("grants", grants.clone());
            let object = ingress(harm.name)
                .host(&format!("{}.test", harm.name))
                .path("/", "svc", 80)
                .annotation("portcullis.dev/filters", harm.name);
            builder.manifest(object).plugin(plugin)
        })
}

/// The sum of a gauge over all plugins.
async fn sum(gw: &Gateway, name: &str) -> f64 {
    let text = gw.admin_get("/metrics").await.text();
    let lines = text
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")));
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[tokio::test]
async fn each_harm_ends_in_its_own_answer_and_nothing_else_notices() {
    let up = upstream().start().await;
    let gw = hosting(&up).start().await;
    let mut neighbour = gw.connect().await;
    for harm in harms() {
        let host = format!("{}.test", harm.name);
        // More than once: the first failure must not spoil what follows.
        for _ in 0..3 {
            let asked = get("/").host(&host);
            let own = async { gw.send(&asked).await };
            let other = async { neighbour.ask(&get("/").host("b.test")).await };
            let (answer, beside) = tokio::join!(own, other);
            let expected = harm.reason.map_or(200, |_| 503);
            assert_eq!(
                (answer.status, answer.reason()),
                (expected, harm.reason),
                "{host}"
            );
            assert_eq!(beside.status, 200, "{host}");
        }
    }
    // Only the filter that works is alive still.
    assert_eq!(sum(&gw, "portcullis_plugin_instances").await, 1.0);
    let failed = sum(&gw, "portcullis_plugin_instances_failed_total").await;
    assert!(failed >= 3.0 * 16.0, "{failed}");
    assert!(up.violations().is_empty());
}

#[tokio::test]
async fn a_loop_ends_soon_and_holds_a_neighbour_up_no_longer() {
    let up = upstream().start().await;
    let gw = beside(&up, web("loop", &[]))
        .plugin(plugin("loop", &doing("(loop (br 0)) i32.const 16")))
        .start()
        .await;
    let mut times = Vec::new();
    let mut neighbour = gw.connect().await;
    for _ in 0..4 {
        let began = Instant::now();
        let next = get("/").host("b.test");
        let asked = get("/").host("a.test");
        let (answer, beside) = tokio::join!(gw.send(&asked), neighbour.ask(&next));
        assert_eq!(
            (answer.reason(), beside.status),
            (Some("plugin-timeout"), 200)
        );
        times.push(began.elapsed());
    }
    // The machine may be busy: the best of them tells.
    let best = times.iter().min().expect("times");
    assert!(*best < Duration::from_millis(250), "{times:?}");
}

#[tokio::test]
async fn slow_filters_run_beside_the_worker_and_not_in_its_way() {
    let up = upstream().start().await;
    let gw = beside(&up, web("loop", &[]))
        .plugin(
            plugin("loop", &doing("(loop (br 0)) i32.const 16"))
                .with("limits", json!({"time": "1s"})),
        )
        .start()
        .await;
    let asked = get("/").host("a.test");
    let slow = gw.send(&asked);
    let others = async {
        let mut neighbour = gw.connect().await;
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_millis(500) {
            assert_eq!(neighbour.ask(&get("/").host("b.test")).await.status, 200);
            count += 1;
        }
        count
    };
    let (answer, count) = tokio::join!(slow, others);
    assert_eq!(answer.reason(), Some("plugin-timeout"));
    assert!(count > 20, "{count} requests while it ran");
}

#[tokio::test]
async fn a_trap_after_the_head_is_a_reset_or_the_gateways_own_answer() {
    // The response hook runs before the head is sent: it can still be answered.
    let up = upstream()
        .answer(|_| Reply::text("never whole"))
        .start()
        .await;
    let guest = Guest {
        on_request: None,
        on_response: Some("unreachable".to_owned()),
        ..Guest::default()
    };
    let gw = beside(&up, web("trap", &[]))
        .plugin(plugin("trap", &guest.build()))
        .start()
        .await;
    let mut connection = gw.connect().await;
    let answer = connection.ask(&get("/").host("a.test")).await;
    assert_eq!((answer.status, answer.reason()), (503, Some("plugin-trap")));
    let answer = gw.http2().await.get("a.test", "/").await;
    assert_eq!(
        (answer.status, answer.reason(), answer.error.as_deref()),
        (503, Some("plugin-trap"), None)
    );
    assert_eq!(connection.ask(&get("/").host("b.test")).await.status, 200);
}
