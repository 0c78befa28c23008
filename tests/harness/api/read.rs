//! Getting, listing and watching.

use std::{io, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Cut, Shared, Streaming, events,
    faults::Replacement,
    nested,
    server::{Body, Call, failure, json_answer, status_of, with_body},
    store::{Change, Store},
};

pub(super) fn get(call: &Call, shared: &Shared) -> Response<Body> {
    let state = shared.state();
    let key = Store::key(
        call.resource,
        call.namespace.as_deref().unwrap_or_default(),
        call.name.as_deref().unwrap_or_default(),
    );
    match state.store.find(&key) {
        Some(object) => json_answer(StatusCode::OK, &events::shown(call.resource, object)),
        None => not_found(call),
    }
}

pub(super) fn not_found(call: &Call) -> Response<Body> {
    let (resource, name) = (call.resource.full_name(), call.name.clone());
    let message = format!("{resource} \"{}\" not found", name.unwrap_or_default());
    failure(404, "NotFound", &message)
}

/// Whether an object matches a field selector.
fn matches(selector: Option<&String>, call: &Call, object: &Value) -> bool {
    let object = events::shown(call.resource, object);
    let terms = selector.into_iter().flat_map(|text| text.split(','));
    terms.filter(|term| !term.is_empty()).all(|term| {
        let (field, value) = term.split_once('=').unwrap_or((term, ""));
        let unequal = field.ends_with('!');
        let value = value.trim_start_matches('=');
        let pointer = format!("/{}", field.trim_end_matches('!').replace('.', "/"));
        let found = object
            .pointer(&pointer)
            .and_then(Value::as_str)
            .unwrap_or_default();
        (found == value) != unequal
    })
}

/// Whether an object has these labels: `key=value,…`.
fn labelled(selector: Option<&String>, object: &Value) -> bool {
    let mut terms = selector.into_iter().flat_map(|text| text.split(','));
    terms.all(|term| {
        let (label, value) = term.split_once('=').unwrap_or((term, ""));
        object["metadata"]["labels"][label] == value
    })
}

pub(super) fn list(call: &Call, shared: &Shared) -> Response<Body> {
    let mut state = shared.state();
    let part = ["continue", "limit"].map(|key| call.query.get(key).map(String::as_str));
    if let [None, limit] = part
        && limit != Some("1")
    {
        *state.lists.entry(call.resource.plural).or_default() += 1;
    }
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok());
    let (version, start) = match call
        .query
        .get("continue")
        .map(|token| STANDARD.decode(token))
    {
        None => (state.store.version, 0),
        Some(token) => {
            let token = token.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let token = token.and_then(|text| {
                let (version, start) = text.split_once(' ')?;
                Some((version.parse().ok()?, start.parse().ok()?))
            });
            match token {
                Some((version, _)) if version < state.store.compacted => {
                    let message = "the provided continue parameter is too old";
                    return failure(410, "Expired", message);
                }
                Some(token) => token,
                None => return failure(400, "BadRequest", "continue key is not valid"),
            }
        }
    };
    let selector = call.query.get("fieldSelector");
    let all = state
        .store
        .list(call.resource.stored, call.namespace.as_deref());
    let all: Vec<&Value> = all
        .map(|(_, object)| object)
        .filter(|object| matches(selector, call, object))
        .filter(|object| labelled(call.query.get("labelSelector"), object))
        .collect();
    let end = limit
        .filter(|limit| *limit > 0)
        .map_or(all.len(), |limit: usize| start + limit);
    let items: Vec<Value> = all[start.min(all.len())..end.min(all.len())]
        .iter()
        .map(|object| {
            // Items of a list do not say what they are.
            let mut item = events::shown(call.resource, object);
            let map = item.as_object_mut().expect("an object");
            map.remove("kind");
            map.remove("apiVersion");
            item
        })
        .collect();
    let mut meta = json!({"resourceVersion": version.to_string()});
    if end < all.len() {
        meta["continue"] = json!(STANDARD.encode(format!("{version} {end}")));
        meta["remainingItemCount"] = json!(all.len() - end);
    }
    let kind = format!("{}List", call.resource.kind);
    let list = json!({"kind": kind, "apiVersion": call.resource.api_version(),
        "metadata": meta, "items": items});
    json_answer(StatusCode::OK, &list)
}

/// The answer to a list that grew too old.
pub(super) fn expired(call: &Call, shared: &Shared, replacement: Replacement) -> Response<Body> {
    let message = "the provided continue parameter is too old to display a consistent list result";
    let mut status = status_of(410, "Expired", message);
    if replacement == Replacement::Given {
        let token = call.query.get("continue").map(|t| STANDARD.decode(t));
        let token = token.expect("a token").expect("base64");
        let token = String::from_utf8(token).expect("a token of this server");
        let (_, start) = token.split_once(' ').expect("a token of this server");
        let version = shared.state().store.version;
        status["metadata"]["continue"] = json!(STANDARD.encode(format!("{version} {start}")));
    }
    json_answer(StatusCode::GONE, &status)
}

pub(super) fn watch(call: Call, shared: &Arc<Shared>) -> Response<Body> {
    let initial = call
        .query
        .get("sendInitialEvents")
        .is_some_and(|wanted| wanted == "true");
    let from: u64 = call
        .query
        .get("resourceVersion")
        .and_then(|version| version.parse().ok())
        .unwrap_or(0);
    let streaming = shared.state().streaming;
    if initial && streaming == Streaming::Refused {
        let message = "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: \
                       sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return failure(422, "Invalid", message);
    }
    let (sender, mut receiver) = mpsc::channel::<io::Result<Bytes>>(256);
    let stream = Stream {
        initial: initial && streaming == Streaming::Known,
        from,
        bookmarks: call
            .query
            .get("allowWatchBookmarks")
            .is_some_and(|b| b == "true"),
        life: call
            .query
            .get("timeoutSeconds")
            .and_then(|text| text.parse().ok()),
        call,
        shared: Arc::clone(shared),
        sender,
    };
    tokio::spawn(stream.run());
    let body = StreamBody::new(futures_util::stream::poll_fn(move |context| {
        receiver
            .poll_recv(context)
            .map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }));
    with_body(StatusCode::OK, BodyExt::boxed(body))
}

/// A watch that is open.
struct Stream {
    call: Call,
    shared: Arc<Shared>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    initial: bool,
    from: u64,
    bookmarks: bool,
    life: Option<u64>,
}

impl Stream {
    async fn run(mut self) {
        let mut told = self.shared.changed.subscribe();
        let mut cuts = self.shared.cuts.subscribe();
        let end = Instant::now() + Duration::from_secs(self.life.unwrap_or(1800));
        let every = self.shared.state().bookmarks;
        if self.begin().await.is_none() {
            return;
        }
        let mut mark = Instant::now() + every;
        loop {
            if self.changes().await.is_none() {
                return;
            }
            tokio::select! {
                changed = told.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(mark) => {
                    mark = Instant::now() + every;
                    if self.bookmarks && self.bookmark(false).await.is_none() {
                        return;
                    }
                }
                () = tokio::time::sleep_until(end) => return,
                cut = cuts.recv() => match cut {
                    Ok(Cut::Middle) => {
                        let half = Bytes::from_static(b"{\"type\":\"ADDED\",\"object\":{\"met");
                        let _gone = self.sender.send(Ok(half)).await;
                        let _gone = self.sender.send(Err(io::Error::other("cut"))).await;
                        return;
                    }
                    Ok(Cut::Line(line)) => {
                        if self.sender.send(Ok(line.into())).await.is_err() {
                            return;
                        }
                    }
                    Ok(Cut::End) | Err(_) => return,
                },
            }
        }
    }

    /// What a watch begins with.
    async fn begin(&mut self) -> Option<()> {
        let compacted = self.shared.state().store.compacted;
        if self.from == 0 {
            let (objects, version) = {
                let mut state = self.shared.state();
                *state.lists.entry(self.call.resource.plural).or_default() += 1;
                let namespace = self.call.namespace.as_deref();
                let all = state.store.list(self.call.resource.stored, namespace);
                let all: Vec<Value> = all.map(|(_, object)| object.clone()).collect();
                (all, state.store.version)
            };
            for object in objects {
                self.tell(None, Some(&object)).await?;
            }
            self.from = version;
            if self.initial {
                self.bookmark(true).await?;
            }
        } else if self.from < compacted {
            let message = format!("too old resource version: {} ({compacted})", self.from);
            let status = status_of(410, "Expired", &message);
            self.send("ERROR", &status).await?;
            return None;
        }
        Some(())
    }

    async fn changes(&mut self) -> Option<()> {
        let changes: Vec<Change> = self.shared.state().store.since(self.from);
        for change in changes {
            self.from = change.version;
            let (stored, namespace, _) = &change.key;
            let here = self
                .call
                .namespace
                .as_ref()
                .is_none_or(|own| own == namespace);
            if *stored == self.call.resource.stored && here {
                self.tell(change.old.as_ref(), change.new.as_ref()).await?;
            }
        }
        Some(())
    }

    /// Tells of a change as far as the selector lets it be seen.
    async fn tell(&self, old: Option<&Value>, new: Option<&Value>) -> Option<()> {
        let selector = self.call.query.get("fieldSelector");
        let seen = |object: &&Value| matches(selector, &self.call, object);
        let before = old.filter(seen);
        match (before, new.filter(seen)) {
            (None, None) => Some(()),
            (None, Some(new)) => self.send("ADDED", new).await,
            (Some(_), Some(new)) => self.send("MODIFIED", new).await,
            (Some(old), None) => {
                let mut last = old.clone();
                if let Some(new) = new {
                    last["metadata"]["resourceVersion"] =
                        new["metadata"]["resourceVersion"].clone();
                }
                self.send("DELETED", &last).await
            }
        }
    }

    async fn bookmark(&self, end: bool) -> Option<()> {
        let mut meta = json!({"resourceVersion": self.from.to_string(), "creationTimestamp": null});
        if end {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let resource = self.call.resource;
        let mark =
            json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": meta});
        self.send("BOOKMARK", &mark).await
    }

    async fn send(&self, kind: &str, object: &Value) -> Option<()> {
        let object = events::shown(self.call.resource, object);
        let line = nested::text(&json!({"type": kind, "object": object})) + "\n";
        let times = if self.shared.state().duplicates && kind != "BOOKMARK" {
            2
        } else {
            1
        };
        for _ in 0..times {
            self.sender.send(Ok(line.clone().into())).await.ok()?;
        }
        Some(())
    }
}
