//! How the API server is reached: a kubeconfig, or what a pod is given.

use std::{path::PathBuf, time::Duration};

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

/// How the API server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where its address is.
    pub place: Place,
    /// How long it may take to answer.
    pub patience: Duration,
}

/// Where credentials and the address of the API server are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this kubeconfig.
    File(PathBuf),
    /// In those that `KUBECONFIG` names, else in `~/.kube/config`.
    Usual,
    /// In the pod that this runs in.
    Pod,
}

/// Why no cluster can be watched.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The kubeconfig that was named.
    #[error("the kubeconfig {} cannot be used: {source}; write one that can with --kubeconfig", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KubeconfigError,
    },
    /// The usual kubeconfig.
    #[error(
        "there is no cluster to watch: this is no pod, and the kubeconfig cannot be used: {0}; write \
         --kubeconfig FILE for a cluster, or --manifests DIR for a folder"
    )]
    Usual(#[source] KubeconfigError),
    /// A pod without what pods are given.
    #[error(
        "the ServiceAccount of this pod cannot be used: {0}; have its token mounted \
         (automountServiceAccountToken), or write --kubeconfig FILE"
    )]
    Pod(#[source] kube::config::InClusterError),
    /// Credentials or certificates that make no client.
    #[error("the API server at {server} cannot be asked: {reason}; mend the kubeconfig")]
    Client {
        /// Its address.
        server: String,
        /// Why.
        reason: String,
    },
    /// The system gives no thread.
    #[error("the cluster cannot be watched: {0}; raise the limit of threads and open files")]
    System(#[from] std::io::Error),
}

impl Access {
    pub(super) async fn config(&self) -> Result<Config, AccessError> {
        let options = KubeConfigOptions::default();
        let mut config = match &self.place {
            Place::File(path) => {
                let fail = |source| {
                    let path = path.clone();
                    AccessError::File { path, source }
                };
                let file = Kubeconfig::read_from(path).map_err(fail)?;
                Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(fail)?
            }
            Place::Usual => Config::from_kubeconfig(&options)
                .await
                .map_err(AccessError::Usual)?,
            Place::Pod => Config::incluster().map_err(AccessError::Pod)?,
        };
        // When to ask again is decided where it is known what for.
        config.default_retry = false;
        Ok(config)
    }
}
