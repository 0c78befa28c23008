//! What a pod is given to reach the API server: its address, and a folder with the CA that signed the
//! server's certificate, a token that is replaced from time to time, and the pod's namespace.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use super::Api;
use crate::Authority;

/// What a server with TLS has.
pub(super) struct Secured {
    pub(super) acceptor: TlsAcceptor,
    ca: String,
}

impl Secured {
    pub(super) fn new(authority: &Authority) -> Self {
        Self {
            acceptor: authority.issue(&["127.0.0.1"]).acceptor(&["http/1.1"]),
            ca: authority.pem(),
        }
    }
}

impl Api {
    /// Writes the folder of a ServiceAccount, and what of a kubeconfig leads to it.
    pub(super) fn give_account(&self, secured: &Secured) -> (Value, Value) {
        let folder = self.account();
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("ca.crt"), &secured.ca).expect("a file");
        std::fs::write(folder.join("namespace"), "ingress").expect("a file");
        self.rotate("first");
        let server = format!("https://{}", self.address);
        let cluster = json!({"server": server, "certificate-authority": folder.join("ca.crt")});
        (cluster, json!({"tokenFile": folder.join("token")}))
    }

    /// The folder of the ServiceAccount.
    fn account(&self) -> PathBuf {
        self.folder.path().join("serviceaccount")
    }

    /// Gives the pod another token, and takes no other one from now on.
    pub fn rotate(&self, token: &str) {
        let new = self.account().join("..new");
        std::fs::write(&new, token).expect("a file");
        std::fs::rename(new, self.account().join("token")).expect("a file");
        self.shared.state().token = Some(token.to_owned());
    }

    /// Has clients believe this authority instead of the server's own.
    pub fn trust(&self, authority: &Authority) {
        std::fs::write(self.account().join("ca.crt"), authority.pem()).expect("a file");
    }

    /// The words with which a shell starts a program as in a pod. They need namespaces of a user's own.
    pub(crate) fn pod(&self) -> String {
        let mount = format!(
            "mount -t tmpfs none /var/run && mkdir -p /var/run/secrets/kubernetes.io && \
             ln -s {} /var/run/secrets/kubernetes.io/serviceaccount",
            self.account().display()
        );
        format!(
            "unset KUBECONFIG; export KUBERNETES_SERVICE_HOST={} KUBERNETES_SERVICE_PORT={}; \
             exec unshare --user --map-root-user --mount sh -c '{mount} && exec \"$0\" \"$@\"'",
            self.address.ip(),
            self.address.port(),
        )
    }
}

/// Whether this machine lets a test have what [`crate::GatewayBuilder::in_pod`] needs; what it says if
/// not.
pub fn pods() -> Result<(), String> {
    let words = "mount -t tmpfs none /var/run";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", words])
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
