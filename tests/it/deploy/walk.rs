//! The tutorial's README, walked: each command in a block `console` is run as it stands there, and has
//! to print what stands below it, `…` being anything.

use harness::{
    Gateway, Outcome, Pair, Reply, Upstream, gateway, run, secret, self_signed, upstream,
};
use tempfile::TempDir;

use super::{deploy, read};

/// Commands and what they print.
fn steps(readme: &str) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => inside = true,
            ("```", _) => inside = false,
            (_, Some(command)) if inside => steps.push((command.to_owned(), Vec::new())),
            (output, None) if inside => {
                let (_, printed) = steps.last_mut().expect("a command before its output");
                printed.push(output.to_owned());
            }
            _ => {}
        }
    }
    steps
}

/// Whether a line is what was expected, `…` being anything.
fn fits(line: &str, expected: &str) -> bool {
    match expected.split_once('…') {
        Some((start, end)) => {
            line.len() >= start.len() + end.len() && line.starts_with(start) && line.ends_with(end)
        }
        None => line == expected,
    }
}

pub(super) async fn cheese(name: &'static str) -> Upstream {
    let answer = move |_: &harness::Seen| Reply::text(&format!("{name}\n"));
    upstream().answer(answer).start().await
}

/// A gateway that serves the tutorial's files, as after the last step; and its backends.
pub(super) async fn serving(pair: &Pair) -> (Gateway, Vec<Upstream>) {
    let mut builder = gateway().flag("--redirect-port", "443");
    let folder = deploy("examples/cheeses");
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let text = std::fs::read_to_string(&path).expect("a manifest");
        builder = builder.file(name, &text);
    }
    let gw = builder
        .manifest(secret("secure-example-com", pair))
        .launch()
        .await;
    let mut all = Vec::new();
    for (name, replicas) in [("stilton", 1), ("cheddar", 1), ("wensleydale", 2)] {
        let mut pods = Vec::new();
        for _ in 0..replicas {
            pods.push(cheese(name).await);
        }
        gw.endpoints(
            name,
            &pods.iter().map(Upstream::address).collect::<Vec<_>>(),
        );
        all.extend(pods);
    }
    for name in ["stilton", "cheddar", "wensleydale"] {
        gw.until_status(&format!("{name}.example.com"), "/", 200)
            .await;
    }
    (gw, all)
}

async fn shell(command: &str, gw: &Gateway, folder: &TempDir) -> Outcome {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", command]).current_dir(folder.path());
    shell.env("HTTP", gw.http().to_string());
    shell.env("HTTPS", gw.https().to_string());
    // A proxy of this machine has no part in it.
    for proxy in [
        "http_proxy",
        "https_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        shell.env_remove(proxy);
    }
    let outcome = tokio::task::spawn_blocking(move || run(&mut shell)).await;
    outcome.expect("a shell")
}

#[tokio::test]
async fn every_command_of_the_tutorial_prints_what_it_says() {
    let pair = self_signed(&["secure.example.com"]);
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("cert.pem"), &pair.chain).expect("a file");
    let (gw, _pods) = serving(&pair).await;
    let steps = steps(&read("examples/README.md"));
    assert!(steps.len() > 18, "{steps:#?}");
    for (command, expected) in steps {
        let outcome = shell(&command, &gw, &folder).await;
        let printed: Vec<&str> = outcome
            .stdout
            .lines()
            .map(|line| line.trim_end_matches('\r'))
            .collect();
        let same = printed.len() == expected.len()
            && printed
                .iter()
                .zip(&expected)
                .all(|(line, expected)| fits(line, expected));
        assert!(
            same,
            "$ {command}\n{}{}\nexpected: {expected:#?}",
            outcome.stdout, outcome.stderr
        );
    }
}
