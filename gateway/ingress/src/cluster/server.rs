//! The API server: connections that are found out when they are dead, and requests that end.

use std::{future::Future, time::Duration};

use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt},
};
use tokio::time::timeout;
use tower::{
    BoxError,
    util::{MapErrLayer, option_layer},
};

/// The API server, and how long it may take to answer.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) patience: Duration,
}

/// There was no answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer in {:?}", .0)]
struct Silent(Duration);

impl Server {
    /// `kube`'s own client, but that its connections are watched over: one that a network lost without a
    /// word, which a watch would not notice, breaks within `patience`.
    pub(super) fn new(config: Config, patience: Duration) -> kube::Result<Self> {
        if config.proxy_url.is_some() {
            // It has the words for what it cannot do.
            let client = Client::try_from(config)?;
            return Ok(Self { client, patience });
        }
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(patience.min(CONNECT)));
        // Half of the time in silence, then three questions in the other.
        connector.set_keepalive(Some((patience / 2).max(LEAST)));
        connector.set_keepalive_interval(Some((patience / 6).max(LEAST)));
        connector.set_keepalive_retries(Some(3));
        connector.set_tcp_user_timeout(Some(patience));
        let connector = config.rustls_https_connector_with_connector(connector)?;
        let http: Http<_, Body> = Http::builder(TokioExecutor::new()).build(connector);
        let client = ClientBuilder::new(http, config.default_namespace.clone())
            .with_layer(&MapErrLayer::new(BoxError::from))
            .with_layer(&config.extra_headers_layer()?)
            .with_layer(&option_layer(config.auth_layer()?))
            .with_layer(&config.base_uri_layer())
            .build();
        Ok(Self { client, patience })
    }

    /// What is asked, or that there was no answer in time.
    pub(super) async fn answer<T>(
        &self,
        asked: impl Future<Output = kube::Result<T>>,
    ) -> kube::Result<T> {
        let silent = |_| Err(kube::Error::Service(Silent(self.patience).into()));
        timeout(self.patience, asked).await.unwrap_or_else(silent)
    }
}

/// How long to wait for a connection, at most.
const CONNECT: Duration = Duration::from_secs(10);
/// Systems count these in seconds.
const LEAST: Duration = Duration::from_secs(1);
