//! A request from its head to the last byte of its answer: what is counted and logged of it.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderValue, StatusCode};

use crate::{
    access::Line,
    connection::Session,
    error::Reason,
    filter::{Filtered, Steering},
    forwarded::Origin,
    snapshot::LiveRoute,
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
    /// Whether the client has yet to ask for the next part of the answer.
    untaken: bool,
    /// What filters know of the request: their permits end with it.
    filtered: Option<Box<Filtered>>,
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
    /// The backend that a filter chose.
    service: Option<String>,
    endpoint: Option<SocketAddr>,
    reason: Option<Cow<'static, str>>,
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
            untaken: false,
            filtered: None,
            record: None,
        }
    }

    pub(crate) fn conn(&self) -> &Conn {
        &self.session.conn
    }

    /// A part of the answer was handed out: the next is the client's to ask for.
    pub(crate) fn hand_out(&mut self) {
        self.untaken = true;
        self.conn().untaken();
    }

    /// The client asks for the next part.
    pub(crate) fn taken(&mut self) {
        if std::mem::take(&mut self.untaken) {
            self.conn().taken();
        }
    }

    /// What the filters of the route know of it from now on.
    pub(crate) fn filter(&mut self, filtered: Filtered) -> &mut Filtered {
        self.filtered.insert(Box::new(filtered))
    }

    /// What the filters of the route know of it, if there are any.
    pub(crate) fn filtered(&mut self) -> Option<&mut Filtered> {
        self.filtered.as_deref_mut()
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
            record.reason = Some(reason.word().into());
        }
    }

    /// Notes an answer that a filter made, and the word that it gives for it.
    pub(crate) fn set_answer(&mut self, status: StatusCode, reason: Option<&HeaderValue>) {
        self.status = status;
        let reason = reason.and_then(|reason| reason.to_str().ok());
        if let Some(record) = &mut self.record {
            record.reason = reason.map(|reason| reason.to_owned().into());
        }
    }

    /// Where filters want the request to go, if they want anything: once they have all been asked.
    pub(crate) fn steering(&mut self) -> Option<Steering> {
        let steering = std::mem::take(&mut self.filtered()?.exchange()?.steering);
        let Steering { backend, pin, hash } = &steering;
        if let Some(record) = &mut self.record {
            record.service.clone_from(backend);
        }
        (backend.is_some() || pin.is_some() || hash.is_some()).then_some(steering)
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
            service: None,
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

    pub(crate) fn note_request_id(&mut self, id: &HeaderValue) {
        if let Some(record) = &mut self.record {
            record.request_id = String::from_utf8_lossy(id.as_bytes()).into_owned();
        }
    }

    pub(crate) fn note_endpoint(&mut self, address: SocketAddr) {
        if let Some(record) = &mut self.record {
            record.endpoint = Some(address);
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
        self.taken();
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
        let route = self.route.as_deref();
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
            ingress: route.map(|route| &*route.ingress),
            service: record
                .service
                .as_deref()
                .or_else(|| route.map(|route| &*route.backend)),
            endpoint: record.endpoint,
            reason: record.reason.as_deref(),
            aborted: !self.complete,
        });
    }
}
