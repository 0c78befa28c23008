//! The server itself: requests in, by hyper, and what each is about.

use std::{collections::HashMap, convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use socket2::{SockFilter, SockRef};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Shared,
    faults::{Fault, Kind},
    nested, read,
    resources::{self, Resource},
    write,
};
use crate::Stream;

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// A request to an object or a list of them.
pub(super) struct Call {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) status: bool,
    pub(super) query: HashMap<String, String>,
    pub(super) verb: &'static str,
}

/// Serves until `stop` changes; then all connections break.
pub(super) async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<u64>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        let Ok((socket, _)) = accepted else { continue };
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        connections.spawn(async move {
            let mut silence = shared.silence.subscribe();
            let other = SockRef::from(&socket).try_clone().expect("a socket");
            let Some(socket) = secured(socket, acceptor).await else {
                return;
            };
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let serving = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                _broken = &mut serving => {}
                _ = silence.changed() => {
                    // It is still there, answers nothing, and not even its system does.
                    other.attach_filter(&[DROP]).expect("a filter");
                    std::future::pending::<()>().await;
                }
            }
        });
    }
}

/// The stream of a connection; nothing if its handshake fails.
async fn secured(socket: TcpStream, acceptor: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    Some(match acceptor {
        Some(acceptor) => Box::new(acceptor.accept(socket).await.ok()?),
        None => Box::new(socket),
    })
}

/// A program for the packets of a socket, `ret #0`: none is let through.
const DROP: SockFilter = SockFilter::new(6, 0, 0, 0);

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    if let Some(token) = shared.state().token.clone() {
        let said = parts.headers.get(http::header::AUTHORIZATION);
        if said.is_none_or(|said| said.as_bytes() != format!("Bearer {token}").as_bytes()) {
            return Ok(failure(401, "Unauthorized", "Unauthorized"));
        }
    }
    let path = parts.uri.path().to_owned();
    let Some(mut call) = parse(&path, parts.uri.query().unwrap_or_default()) else {
        let absent: Vec<String> = shared.state().absent.clone();
        let absent: Vec<&str> = absent.iter().map(String::as_str).collect();
        return Ok(match resources::discovery(&path, &absent) {
            Some(found) => json_answer(StatusCode::OK, &found),
            None => failure(
                404,
                "NotFound",
                "the server could not find the requested resource",
            ),
        });
    };
    call.verb = verb(&parts.method, &call);
    if let Some(refused) = refuse(&call, &shared).await {
        return Ok(refused);
    }
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => return Ok(failure(400, "BadRequest", "the body is broken")),
    };
    let kind = parts.headers.get(http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    Ok(match call.verb {
        "watch" => read::watch(call, &shared),
        "list" => read::list(&call, &shared),
        "get" => read::get(&call, &shared),
        "create" => write::create(&call, &bytes, &shared),
        "update" => write::update(&call, &bytes, &shared),
        "patch" => write::patch(&call, &bytes, kind, &shared),
        _ => write::delete(&call, &shared),
    })
}

fn parse(path: &str, query: &str) -> Option<Call> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let (plural, name, status) = match rest {
        [plural] => (*plural, None, false),
        [plural, name] => (*plural, Some(*name), false),
        [plural, name, "status"] => (*plural, Some(*name), true),
        _ => return None,
    };
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(key, value)| (decode(key), decode(value)));
    Some(Call {
        resource: Resource::find(group, version, plural)?,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        status,
        query: query.collect(),
        verb: "get",
    })
}

/// Percent-decoding of a query.
fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let digits = String::from_utf8(digits).unwrap_or_default();
                out.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

fn verb(method: &Method, call: &Call) -> &'static str {
    let watching = call
        .query
        .get("watch")
        .is_some_and(|w| w == "true" || w == "1");
    match (method.as_str(), &call.name) {
        ("GET", _) if watching => "watch",
        ("GET", None) => "list",
        ("GET", Some(_)) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        _ => "delete",
    }
}

/// Notes a request; what stands in its way.
async fn refuse(call: &Call, shared: &Shared) -> Option<Response<Body>> {
    let plural = call.resource.plural;
    let (verb, namespace) = (call.verb, call.namespace.as_deref());
    let fault = {
        let mut state = shared.state();
        let object = call.name.clone().unwrap_or_default();
        let part = if call.status { "/status" } else { "" };
        state.log.push(format!(
            "{verb} {plural}{part} {}/{object}",
            namespace.unwrap_or_default()
        ));
        if state.absent.iter().any(|absent| absent == plural) {
            let message = "the server could not find the requested resource";
            return Some(failure(404, "NotFound", message));
        }
        if state
            .denials
            .iter()
            .any(|denial| denial.meets(verb, plural, namespace))
        {
            return Some(forbidden(call));
        }
        let gone = |own: &String| Some(own.as_str()) == namespace;
        if verb == "create" && state.terminating.iter().any(gone) {
            return Some(terminating(call));
        }
        let continued = call.query.contains_key("continue");
        Fault::take(&mut state.faults, (verb, plural), continued)
    };
    match fault? {
        Kind::Status(status, wait) => Some(limited(status, wait)),
        Kind::Hang(time) => {
            tokio::time::sleep(time).await;
            Some(failure(504, "Timeout", "it hung"))
        }
        Kind::Slow(time) => {
            tokio::time::sleep(time).await;
            None
        }
        Kind::Garbage => Some(answer_with(StatusCode::OK, "{]".into())),
        Kind::Expired(replacement) => Some(read::expired(call, shared, replacement)),
        Kind::GoneEvent => {
            let status = status_of(410, "Expired", "too old resource version: 1 (2)");
            let line = json!({"type": "ERROR", "object": status}).to_string() + "\n";
            Some(answer_with(StatusCode::OK, line.into()))
        }
    }
}

fn forbidden(call: &Call) -> Response<Body> {
    let Call {
        resource,
        namespace,
        verb,
        ..
    } = call;
    let place = match namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let message = format!(
        "{} is forbidden: User \"system:serviceaccount:ingress:portcullis\" cannot {verb} resource \
         \"{}\" in API group \"{}\" {place}",
        resource.full_name(),
        resource.plural,
        resource.group,
    );
    failure(403, "Forbidden", &message)
}

/// As the admission plugin `NamespaceLifecycle` refuses.
fn terminating(call: &Call) -> Response<Body> {
    let resource = call.resource.full_name();
    let namespace = call.namespace.as_deref().unwrap_or_default();
    let message = format!(
        "{resource} is forbidden: unable to create new content in namespace {namespace} because it \
         is being terminated"
    );
    let mut body = status_of(403, "Forbidden", &message);
    body["details"] = json!({"causes": [{
        "reason": "NamespaceTerminating",
        "message": format!("namespace {namespace} is being terminated"),
        "field": "metadata.namespace",
    }]});
    json_answer(StatusCode::FORBIDDEN, &body)
}

fn limited(status: u16, wait: u32) -> Response<Body> {
    let mut body = status_of(status, "Fault", "it was told to fail");
    if wait > 0 {
        body["details"] = json!({"retryAfterSeconds": wait});
    }
    let code = StatusCode::from_u16(status).expect("a status");
    let mut response = json_answer(code, &body);
    if wait > 0 {
        response.headers_mut().insert("retry-after", wait.into());
    }
    response
}

pub(super) fn status_of(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code})
}

pub(super) fn failure(code: u16, reason: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(code).expect("a status");
    json_answer(status, &status_of(code, reason, message))
}

pub(super) fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    answer_with(status, nested::text(value).into())
}

fn answer_with(status: StatusCode, bytes: Bytes) -> Response<Body> {
    let never = |never: Infallible| match never {};
    with_body(status, Full::new(bytes).map_err(never).boxed())
}

pub(super) fn with_body(status: StatusCode, body: Body) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .expect("a response")
}
