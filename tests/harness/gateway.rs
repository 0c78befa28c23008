//! The running gateway.

mod admin;
mod files;
mod process;
mod until;

use std::{net::SocketAddr, path::PathBuf};

use tempfile::TempDir;

use crate::{
    Answer, Api, Connection, Frames, Handshake, Http2, Object, PluginBuilder, Request, TlsOptions,
    Upstream, binary, get, service, until,
};
use files::{slices, slices_file, write};
use process::Process;

/// A gateway in the making: its manifests and flags.
#[derive(Default)]
pub struct GatewayBuilder {
    files: Vec<(String, Vec<u8>)>,
    flags: Vec<String>,
    under: Option<String>,
    source: Source,
}

/// Where its objects come from.
#[derive(Default)]
enum Source {
    #[default]
    Folder,
    Kubeconfig(PathBuf),
    Pod,
}

/// A gateway with one worker and no manifests.
pub fn gateway() -> GatewayBuilder {
    GatewayBuilder::default()
}

impl GatewayBuilder {
    /// Adds an object, in a file of its own.
    pub fn manifest(self, object: impl Into<Object>) -> Self {
        let object = object.into();
        self.file(&object.file(), &object.0.to_string())
    }

    /// Adds a Service with one port named `http`, and these backends as its endpoints.
    pub fn service(self, name: &str, port: u16, backends: &[&Upstream]) -> Self {
        let addresses: Vec<_> = backends.iter().map(|up| up.address()).collect();
        self.service_at(name, port, &addresses)
    }

    /// Adds a Service with one port named `http`, and endpoints at these addresses.
    pub fn service_at(self, name: &str, port: u16, addresses: &[SocketAddr]) -> Self {
        let service = service(name, &[("http", port)]);
        self.manifest(service)
            .file(&slices_file(name), &slices(name, addresses))
    }

    /// Adds a file as it is.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    /// Adds a Plugin with this code, in a file beside it.
    pub fn plugin(self, plugin: PluginBuilder) -> Self {
        let mut this = self.manifest(plugin.object);
        if let Some((name, code)) = plugin.file {
            this.files.push((name, code));
        }
        this
    }

    /// Adds a flag with its value.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push(format!("{name}={value}"));
        self
    }

    /// Adds a flag without a value.
    pub fn switch(mut self, name: &str) -> Self {
        self.flags.push(name.into());
        self
    }

    /// Watches this API server instead of a folder.
    pub fn cluster(self, api: &Api) -> Self {
        Self {
            source: Source::Kubeconfig(api.kubeconfig()),
            ..self
        }
    }

    /// Watches this API server, as in a pod. See [`crate::pods`] for where that is possible.
    pub fn in_pod(self, api: &Api) -> Self {
        let source = Source::Pod;
        Self { source, ..self }.under(&api.pod())
    }

    /// Lets it open so many files and sockets.
    pub fn open_files(self, limit: u32) -> Self {
        self.under(&format!("ulimit -n {limit} && exec"))
    }

    /// Has a shell start it, with these words before its own.
    pub fn under(mut self, words: &str) -> Self {
        self.under = Some(words.into());
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Gateway {
        let gateway = self.launch().await;
        until("the gateway is ready", async || {
            gateway.admin_get("/readyz").await.status == 200
        })
        .await;
        gateway
    }

    /// Starts it and waits until its sockets are open.
    pub async fn launch(self) -> Gateway {
        let folder = TempDir::new().expect("a temporary folder");
        for (name, text) in &self.files {
            write(&folder.path().join(name), text);
        }
        let mut arguments = vec!["run".to_owned()];
        match &self.source {
            Source::Folder => arguments.push(format!("--manifests={}", folder.path().display())),
            Source::Kubeconfig(path) => arguments.push(format!("--kubeconfig={}", path.display())),
            Source::Pod => {}
        }
        let given = |name: &str| {
            self.flags
                .iter()
                .any(|flag| flag.split('=').next() == Some(name))
        };
        let listeners = [
            "--http=127.0.0.1:0",
            "--https=127.0.0.1:0",
            "--admin=127.0.0.1:0",
            "--workers=1",
        ];
        let defaults = listeners
            .iter()
            .filter(|flag| !flag.split('=').next().is_some_and(given));
        arguments.extend(defaults.map(|flag| (*flag).to_owned()));
        arguments.extend(self.flags.iter().cloned());
        let under = self.under.as_deref();
        let command = under.map_or_else(binary::command, binary::command_under);
        let process = Process::start(command, &arguments);
        let http = process.listener("http").await;
        let https = process.listener("https").await;
        let admin = process.listener("admin").await;
        Gateway {
            http,
            https,
            admin,
            process,
            folder,
        }
    }
}

/// A running gateway; it is killed with this value.
pub struct Gateway {
    http: SocketAddr,
    https: SocketAddr,
    admin: SocketAddr,
    process: Process,
    folder: TempDir,
}

impl Gateway {
    /// Where it listens for HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it listens for HTTPS.
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// Where its admin listener is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where the listener of this name is.
    pub async fn listener(&self, name: &str) -> SocketAddr {
        self.process.listener(name).await
    }

    /// The folder that it watches.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Gets a path of a host over a connection of its own.
    pub async fn get(&self, host: &str, path: &str) -> Answer {
        self.send(&get(path).host(host)).await
    }

    /// Sends a request over a connection of its own.
    pub async fn send(&self, request: &Request) -> Answer {
        self.connect().await.ask(request).await
    }

    /// Gets a path of a host over TLS, on a connection of its own.
    pub async fn get_tls(&self, host: &str, path: &str) -> Answer {
        self.tls(&TlsOptions::lenient(), host)
            .await
            .http1()
            .ask(&get(path).host(host))
            .await
    }

    /// A connection to the HTTP listener.
    pub async fn connect(&self) -> Connection {
        Connection::open(self.http).await
    }

    /// A connection to the HTTPS listener.
    pub async fn tls(&self, options: &TlsOptions, name: &str) -> Handshake {
        options
            .connect(self.https, name)
            .await
            .expect("a handshake")
    }

    /// HTTP/2 with prior knowledge.
    pub async fn http2(&self) -> Http2 {
        Http2::open(self.http).await
    }

    /// HTTP/2 over TLS.
    pub async fn http2_tls(&self, name: &str) -> Http2 {
        let handshake = self.tls(&TlsOptions::lenient().alpn(&["h2"]), name).await;
        assert_eq!(handshake.alpn().as_deref(), Some("h2"));
        Http2::over(handshake.stream).await
    }

    /// HTTP/2 with prior knowledge, frame by frame.
    pub async fn frames(&self) -> Frames {
        Frames::open(self.http).await
    }

    /// Adds or changes an object, in a file of its own.
    pub fn apply(&self, object: impl Into<Object>) {
        let object = object.into();
        self.write(&object.file(), &object.0.to_string());
    }

    /// Adds or changes a Plugin, its code first.
    pub fn apply_plugin(&self, plugin: PluginBuilder) {
        if let Some((name, code)) = plugin.file {
            self.write_bytes(&name, &code);
        }
        self.apply(plugin.object);
    }

    /// Deletes an object.
    pub fn delete(&self, object: impl Into<Object>) {
        self.remove(&object.into().file());
    }

    /// Sets the endpoints of a Service that was added with one port named `http`.
    pub fn endpoints(&self, service: &str, addresses: &[SocketAddr]) {
        self.write(&slices_file(service), &slices(service, addresses));
    }

    /// Writes a file whole: nobody sees a half of it.
    pub fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    /// The same with any bytes.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) {
        write(&self.folder.path().join(name), bytes);
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).expect("a file to remove");
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// Sends it a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits for its end; its exit code.
    pub async fn exited(&mut self) -> Option<i32> {
        self.process.exited().await
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> std::time::Duration {
        self.process.cpu()
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> u64 {
        self.process.memory("VmRSS:")
    }

    /// The most that it ever was.
    pub fn peak_resident(&self) -> u64 {
        self.process.memory("VmHWM:")
    }
}
