//! Where the gateway listens.

use std::net::SocketAddr;

use clap::Args;

use super::{ADMIN, Reader, value::any_address};

/// Flags that name listeners.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Listeners (:PORT is any address; port 0: a free one, see the first log lines)"
)]
pub(crate) struct ListenFlags {
    /// Where to serve HTTP [default: [::]:8080, or 0.0.0.0:8080 without IPv6]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Where to serve HTTPS [default: [::]:8443, or 0.0.0.0:8443 without IPv6]
    #[arg(long, value_name = "ADDR")]
    pub(crate) https: Option<String>,
    /// Where to serve probes, metrics, routes, problems and explanations
    #[arg(long, value_name = "ADDR", default_value = ADMIN)]
    pub(crate) admin: String,
    /// Where to serve only /livez, /readyz and /metrics [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<String>,
}

/// The listeners' addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) metrics: Option<SocketAddr>,
}

impl ListenFlags {
    /// Reads the addresses; no two listeners may share one.
    pub(super) fn read(&self, reader: &mut Reader) -> Addresses {
        let Self {
            http,
            https,
            admin,
            metrics,
        } = self;
        let anywhere = |port| move || SocketAddr::from((any_address(), port));
        let addresses = Addresses {
            http: reader
                .optional_address("--http", http.as_deref())
                .unwrap_or_else(anywhere(8080)),
            https: reader
                .optional_address("--https", https.as_deref())
                .unwrap_or_else(anywhere(8443)),
            admin: reader
                .optional_address("--admin", Some(admin))
                .unwrap_or_else(anywhere(9000)),
            metrics: reader.optional_address("--metrics", metrics.as_deref()),
        };
        let mut named = vec![
            ("--http", addresses.http),
            ("--https", addresses.https),
            ("--admin", addresses.admin),
        ];
        named.extend(addresses.metrics.map(|address| ("--metrics", address)));
        for (index, (flag, address)) in named.iter().enumerate() {
            let before = named.iter().take(index);
            for (other, _) in before.filter(|(_, a)| a == address && a.port() != 0) {
                reader.mistake(
                    flag,
                    &address.to_string(),
                    &format!("is {other} as well"),
                    "write another port",
                );
            }
        }
        addresses
    }
}
