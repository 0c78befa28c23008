//! `portcullis demo`: three small backends and their manifests, served by the very same path as
//! `run --manifests`.

mod backend;
mod manifests;

use std::{
    ffi::OsString,
    fmt::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;

use crate::{
    cli::{self, DemoFlags},
    run::{self, Addresses},
    say,
};

/// `portcullis demo`.
pub(crate) fn command(flags: DemoFlags) -> anyhow::Result<ExitCode> {
    let DemoFlags { http, https, admin } = flags;
    let folder = tempfile::Builder::new()
        .prefix("portcullis-demo-")
        .tempdir();
    let folder = folder.context(
        "cannot make a folder for the demo's manifests; set TMPDIR to one that can be written",
    )?;
    let arguments = [
        ("--manifests", folder.path().as_os_str()),
        ("--http", http.as_ref()),
        ("--https", https.as_ref()),
        ("--admin", admin.as_ref()),
    ];
    let arguments: Vec<OsString> = arguments
        .into_iter()
        .flat_map(|(flag, value)| [flag.into(), value.to_owned()])
        .collect();
    let arguments = cli::run_flags(&arguments)?.read()?;

    let backends = backend::start()?;
    manifests::write(folder.path(), &backends)?;
    let path = folder.path().to_owned();
    // The folder is removed when it is dropped, at the end.
    Ok(run::serve(arguments, |addresses| {
        say(&banner(addresses, &path));
    }))
}

/// The name that resolves to this machine whatever stands before it.
const DOMAIN: &str = "127.0.0.1.nip.io";
/// The backends, each a cheese.
const CHEESES: [&str; 3] = ["cheddar", "stilton", "wensleydale"];

/// What to try, ready to be pasted.
fn banner(addresses: Addresses, folder: &Path) -> String {
    let Addresses { http, https, admin } = addresses;
    let [http_at, https_at, admin_at] = [http, https, admin].map(reachable);
    let ca = folder.join(manifests::CA);
    let ca = ca.display();
    let program = std::env::current_exe()
        .map_or_else(|_| "portcullis".into(), |path| path.display().to_string());
    let curl = |options: &str, scheme: &str, at: SocketAddr, host: &str, path: &str| {
        let (port, ip) = (at.port(), bracketed(at.ip()));
        format!(
            "    curl {options}--resolve {host}.{DOMAIN}:{port}:{ip} '{scheme}://{host}.{DOMAIN}:{port}{path}'\n"
        )
    };
    let mut out = String::from("\nThree cheeses behind one gateway. In a browser:\n\n");
    let mut line = |text: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{text}");
    };
    for cheese in CHEESES {
        line(&format!("    http://{cheese}.{DOMAIN}:{}/", http.port()));
    }
    for cheese in CHEESES {
        line(&format!(
            "    http://cheese.{DOMAIN}:{}/{cheese}",
            http.port()
        ));
    }
    line(&format!("    http://{admin_at}/   the gateway's own pages"));
    line(
        "\nWith curl, which needs no DNS this way: by host, by path, over HTTPS, redirected to HTTPS, and to nowhere:\n",
    );
    let tls = format!("--cacert {ca} ");
    let lines = [
        curl("", "http", http_at, "cheddar", "/"),
        curl("", "http", http_at, "cheese", "/wensleydale/crumbs?of=it"),
        curl(&tls, "https", https_at, "stilton", "/"),
        curl("-i ", "http", http_at, "secure", "/vault"),
        curl("-i ", "http", http_at, "cheese", "/gouda"),
    ];
    line(&lines.concat());
    line(
        "Filters on a route: a canary by a header, a session's cookie, and a limit that the sixth request meets:\n",
    );
    let header = "-i -H 'x-taste: always' ";
    line(&curl(header, "http", http_at, "tasting", "/"));
    line(&format!(
        "    for i in 1 2 3 4 5 6; do\n    {}    done\n",
        curl(
            "-so /dev/null -w '%{http_code}\\n' ",
            "http",
            http_at,
            "tasting",
            "/"
        )
    ));
    line("Why a request goes where it goes:\n");
    line(&format!(
        "    {program} explain --admin {admin_at} http://tasting.{DOMAIN}/\n"
    ));
    line("Change a manifest and see it act at once:\n");
    let cheese = folder.join("cheese.yaml");
    line(&format!(
        "    sed -i 's,path: /stilton,path: /blue,' {}",
        cheese.display()
    ));
    line(&curl("", "http", http_at, "cheese", "/blue"));
    line(&format!(
        "All manifests are in {} until Ctrl-C ends the demo.\n",
        folder.display()
    ));
    out
}

/// The address by which this machine reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    }
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_real_ports() {
        let at = |port: u16| SocketAddr::from(([0, 0, 0, 0], port));
        let banner = banner(
            Addresses {
                http: at(1),
                https: at(2),
                admin: at(3),
            },
            Path::new("/d"),
        );
        for line in [
            "curl --resolve cheddar.127.0.0.1.nip.io:1:127.0.0.1 'http://cheddar.127.0.0.1.nip.io:1/'\n",
            "curl --cacert /d/ca.pem --resolve stilton.127.0.0.1.nip.io:2:127.0.0.1 'https://stilton.127.0.0.1.nip.io:2/'\n",
            "explain --admin 127.0.0.1:3 http://tasting.127.0.0.1.nip.io/\n",
        ] {
            assert!(banner.contains(line), "{banner}");
        }
    }

    #[test]
    fn backends_and_manifests_agree() {
        let folder = tempfile::tempdir().unwrap();
        let backends = CHEESES.map(|cheese| (cheese, SocketAddr::from(([127, 0, 0, 1], 4321))));
        manifests::write(folder.path(), &backends).unwrap();
        let paths = vec![folder.path().to_owned()];
        let flags = cli::run_flags(&["--manifests".into(), folder.path().into()]).unwrap();
        let options = flags.read().unwrap().options;
        let mut objects = crate::publish::objects();
        let problems = ingress::Folder::open(paths).unwrap().read(&mut objects);
        assert!(problems.is_empty(), "{problems:?}");
        let (config, problems) = ingress::translate(&objects, &options);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(config.rules.len(), 8);
        assert_eq!(config.clusters.len(), 3);
    }
}
