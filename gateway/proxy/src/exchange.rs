//! A request from its head to the last byte of its answer: what is counted and logged of it.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::StatusCode;

use crate::{
    access::Line, connection::Session, error::Reason, forwarded::Origin, snapshot::LiveRoute,
    stalls::Conn,
};

/// A request that is being answered. Its end is its drop, however that comes about.
pub(crate) struct Exchange {
    session: Rc<Session>,
    route: Option<Arc<LiveRoute>>,
    began: Instant,
    status: StatusCode,
    bytes: u64,
    complete: bool,
    record: Option<Box<Record>>,
}

/// What only the access log needs.
#[derive(Debug)]
struct Record {
    client: IpAddr,
    https: bool,
    version: http::Version,
    method: http::Method,
    host: String,
    path: String,
    request_id: String,
    endpoint: Option<String>,
    reason: Option<&'static str>,
}

impl Exchange {
    pub(crate) fn begin(session: &Rc<Session>) -> Self {
        session.conn.request_begun();
        Self {
            session: Rc::clone(session),
            route: None,
            began: Instant::now(),
            // As nginx counts a client that went before it was answered.
            status: StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            bytes: 0,
            complete: false,
            record: None,
        }
    }

    pub(crate) fn conn(&self) -> &Conn {
        &self.session.conn
    }

    /// How long a stream may be silent.
    pub(crate) fn stream_idle(&self) -> Duration {
        self.session.worker.gateway.settings.timeouts.stream_idle
    }

    pub(crate) fn route(&self) -> Option<&Arc<LiveRoute>> {
        self.route.as_ref()
    }

    pub(crate) fn set_route(&mut self, route: &Arc<LiveRoute>) {
        self.route = Some(Arc::clone(route));
    }

    pub(crate) fn set_status(&mut self, status: StatusCode) {
        self.status = status;
    }

    pub(crate) fn set_reason(&mut self, reason: Reason) {
        self.status = reason.status();
        if let Some(record) = &mut self.record {
            record.reason = Some(reason.word());
        }
    }

    /// Notes what the access log says of the request, where there is one.
    pub(crate) fn note_request(&mut self, head: &http::request::Parts) {
        if !self.session.worker.gateway.access.is_on() {
            return;
        }
        let host = head
            .headers
            .get(http::header::HOST)
            .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        self.record = Some(Box::new(Record {
            client: self.session.peer.address.ip(),
            https: self.session.peer.tls,
            version: head.version,
            method: head.method.clone(),
            host: host
                .or_else(|| head.uri.authority().map(ToString::to_string))
                .unwrap_or_default(),
            path: head
                .uri
                .path_and_query()
                .map_or_else(|| "*".to_owned(), ToString::to_string),
            request_id: String::new(),
            endpoint: None,
            reason: None,
        }));
    }

    /// Notes where the request comes from.
    pub(crate) fn note_origin(&mut self, origin: &Origin) {
        if let Some(record) = &mut self.record {
            record.client = origin.client;
            record.https = origin.https;
        }
    }

    /// What stands in for a refused head is nothing that the client asked for.
    pub(crate) fn forget_request(&mut self) {
        if let Some(record) = &mut self.record {
            record.host.clear();
            record.path.clear();
        }
    }

    pub(crate) fn note_request_id(&mut self, id: &http::HeaderValue) {
        if let Some(record) = &mut self.record {
            record.request_id = String::from_utf8_lossy(id.as_bytes()).into_owned();
        }
    }

    pub(crate) fn note_endpoint(&mut self, address: std::net::SocketAddr) {
        if let Some(record) = &mut self.record {
            record.endpoint = Some(address.to_string());
        }
    }

    /// Bytes of the answer's body went to the client.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The answer has come to its end.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.session.conn.request_ended();
        let worker = &self.session.worker;
        let elapsed = self.began.elapsed();
        match &self.route {
            Some(route) => route.stats.count(worker.index, self.status, elapsed),
            None => worker.stats.unrouted.count(self.status),
        }
        let Some(record) = self.record.take() else {
            return;
        };
        let time = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let config = self.route.as_ref().map(|route| &route.config);
        worker.gateway.access.write(&Line {
            time: time.saturating_sub(elapsed).as_millis(),
            client: record.client,
            scheme: if record.https { "https" } else { "http" },
            version: match record.version {
                http::Version::HTTP_2 => "2",
                http::Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
            method: record.method.as_str(),
            host: &record.host,
            path: &record.path,
            status: self.status.as_u16(),
            bytes: self.bytes,
            duration_ms: elapsed,
            request_id: &record.request_id,
            ingress: config.map(|config| config.ingress.to_string()),
            service: config
                .map(|config| format!("{}:{}", config.backend.service, config.backend.port)),
            endpoint: record.endpoint,
            reason: record.reason,
            aborted: !self.complete,
        });
    }
}
