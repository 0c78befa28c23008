//! Instructions a plain request takes in user space, by valgrind's callgrind: the same in every run to a
//! part in a hundred, so that a change that costs a twentieth shows. What is known is in
//! `instructions.txt`.

use std::{fs, process::Command};

use harness::{gateway, ingress};

use crate::{backend, client::Client, load::get};

pub(crate) async fn run() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("\ninstructions: valgrind is not installed: left out.");
        return;
    }
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let out = folder.path().join("callgrind");
    let gateway = gateway()
        .manifest(ingress("web").host("a.test").path("/", "svc", 80))
        .service_at("svc", 80, &[backend::start().await])
        .under(&format!(
            "exec valgrind --tool=callgrind --quiet --callgrind-out-file={}",
            out.display()
        ))
        .start()
        .await;
    let request = get("a.test", "/some/path?and=query", "");
    let mut client = Client::plain(gateway.http()).await;
    let mut ask = async |count: u32| {
        for _ in 0..count {
            client.send(&request).await;
            client.answer().await;
        }
    };
    let control = |what: &str| {
        let mut command = Command::new("callgrind_control");
        let done = command.args([what, &gateway.id().to_string()]).output();
        assert!(done.is_ok_and(|done| done.status.success()), "{what}");
    };
    ask(300).await;
    control("--zero");
    ask(REQUESTS).await;
    control("--dump");
    let dump = fs::read_to_string(out.with_extension("1")).expect("a dump");
    let total = dump.lines().find_map(|line| line.strip_prefix("summary: "));
    let total: f64 = total.and_then(|total| total.parse().ok()).expect("a total");
    let now = total / f64::from(REQUESTS);
    let known: f64 = include_str!("instructions.txt")
        .trim()
        .parse()
        .expect("a number");
    let verdict = if now > known * 1.05 {
        "a twentieth or more above"
    } else {
        "within a twentieth of"
    };
    println!("\ninstructions: {now:.0} a request, {verdict} the {known:.0} that are known");
}

const REQUESTS: u32 = 2000;
