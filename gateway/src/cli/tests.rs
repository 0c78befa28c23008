//! The command line as a whole, and its documentation.

use std::time::Duration;

use super::*;

fn read(arguments: &[&str]) -> Result<Arguments, Mistakes> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    run_flags(&arguments).unwrap().read()
}

#[test]
fn the_definition_is_sound() {
    definition().debug_assert();
}

#[test]
fn every_flag_of_run_has_its_variable() {
    let definition = definition();
    for arg in definition.find_subcommand("run").unwrap().get_arguments() {
        let expected = format!(
            "PORTCULLIS_{}",
            arg.get_long().unwrap().to_uppercase().replace('-', "_")
        );
        assert_eq!(
            arg.get_env().and_then(|env| env.to_str()),
            Some(expected.as_str())
        );
    }
    let explain = definition.find_subcommand("explain").unwrap();
    let env = |id: &str| {
        explain
            .get_arguments()
            .find(|arg| arg.get_id() == id)
            .unwrap()
            .get_env()
    };
    assert!(env("admin").is_some() && env("ingress_class").is_some());
    assert!(env("manifests").is_none() && env("url").is_none());
}

#[test]
fn defaults_are_those_of_the_data_plane() {
    let arguments = read(&["--manifests", "m"]).unwrap();
    let given = arguments.settings;
    let expected = proxy::Settings {
        http: given.http,
        https: given.https,
        workers: given.workers,
        external_loopback: true,
        ..Default::default()
    };
    assert_eq!(format!("{given:#?}"), format!("{expected:#?}"));
    assert!(given.workers > 0);
    assert_eq!((given.http.port(), given.https.port()), (8080, 8443));
    assert!(given.http.ip().is_unspecified());
    assert_eq!(arguments.admin.to_string(), "127.0.0.1:9000");
    assert_eq!(arguments.access, AccessTarget::Off);
    assert_eq!(arguments.redirect, Redirect::Listener);
    assert_eq!(arguments.options.classes, ["portcullis"]);
    assert_eq!(
        arguments.options.controllers,
        ["portcullis.dev/ingress-controller"]
    );
    assert!(arguments.idle.is_empty() && arguments.metrics.is_none());
}

#[test]
fn values_reach_the_settings() {
    let arguments = read(&[
        "--manifests=a",
        "--manifests=b",
        "--http=127.0.0.1:0",
        "--metrics=:9090",
        "--head-timeout=3s",
        "--request-timeout=1m",
        "--max-body=8Mi",
        "--eject-after=7",
        "--redirect-port=8443",
        "--trusted-proxies=10.0.0.0/8,fd00::/8",
        "--ingress-class=nginx,portcullis",
        "--access-log=requests.log",
        "--workers=3",
        "--publish-address=192.0.2.1",
        "--publish-nodes=edge/app.kubernetes.io/name=web,tier=1",
    ]);
    let Arguments {
        settings,
        options,
        origin,
        redirect,
        access,
        idle,
        metrics,
        ..
    } = arguments.unwrap();
    let anywhere = metrics.expect("an address");
    assert!(anywhere.ip().is_unspecified() && anywhere.port() == 9090);
    let folders = ["a", "b"].map(PathBuf::from).to_vec();
    assert_eq!(origin, Origin::Manifests(folders));
    assert_eq!(settings.http.to_string(), "127.0.0.1:0");
    assert_eq!(settings.timeouts.head.as_secs(), 3);
    assert_eq!(
        settings.timeouts.request.map(|time| time.as_secs()),
        Some(60)
    );
    assert_eq!(settings.limits.max_body, 8 << 20);
    assert_eq!(settings.upstream.eject_after, 7);
    assert_eq!(settings.trusted_proxies.len(), 2);
    assert_eq!(settings.workers, 3);
    assert_eq!(options.classes, ["nginx", "portcullis"]);
    assert_eq!(redirect, Redirect::Port(8443));
    assert_eq!(access, AccessTarget::File("requests.log".into()));
    assert_eq!(idle, ["--publish-address", "--publish-nodes"]);
}

#[test]
fn all_mistakes_come_at_once() {
    let mistakes = read(&[
        "--manifests=m",
        "--http=here",
        "--https=127.0.0.1:7",
        "--admin=127.0.0.1:7",
        "--tries=0",
        "--max-head-size=1x",
        "--log-level=loud",
        "--plugin-grants=http,all",
        "--default-tls-secret=cert",
    ]);
    let text = mistakes.unwrap_err().to_string();
    for flag in [
        "--http",
        "--admin",
        "--tries",
        "--max-head-size",
        "--log-level",
        "--plugin-grants",
        "--default-tls-secret",
    ] {
        assert!(
            text.contains(&format!("{flag} '")),
            "{flag} is not in:\n{text}"
        );
    }
    assert_eq!(text.lines().count(), 7, "{text}");
}

#[test]
fn without_manifests_a_cluster_is_watched() {
    let arguments = read(&["--kubeconfig=k.yaml"]).unwrap();
    let place = ingress::Place::File("k.yaml".into());
    let patience = Duration::from_secs(30);
    let access = ingress::Access { place, patience };
    assert_eq!(arguments.origin, Origin::Cluster(access));
    assert_eq!(arguments.options.mode, ingress::Mode::Cluster);
    assert_eq!(arguments.redirect, Redirect::Port(443));
    assert!(!arguments.settings.external_loopback && !arguments.sandbox.http.allow_loopback);
    let both = read(&["--kubeconfig=k.yaml", "--manifests=m"]).unwrap_err();
    assert!(both.to_string().contains("--kubeconfig 'k.yaml'"), "{both}");
}

#[test]
fn the_table_of_limits_is_that_of_the_program() {
    let table = include_str!("../../../docs/limits.md");
    let plain = <LimitFlags as Args>::augment_args(clap::Command::new("limits"));
    let mut count = 0;
    for arg in plain.get_arguments() {
        let flag = arg.get_long().unwrap();
        let default = arg
            .get_default_values()
            .first()
            .and_then(|value| value.to_str())
            .unwrap();
        let row = table
            .lines()
            .find(|line| line.starts_with(&format!("| `--{flag}` | {default} |")));
        assert!(
            row.is_some(),
            "docs/limits.md lacks --{flag} with its default {default}"
        );
        count += 1;
    }
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .count();
    assert_eq!(
        rows, count,
        "docs/limits.md has rows for flags that do not exist"
    );
}
