//! Creating, changing and deleting.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{
    Shared, apply,
    read::not_found,
    server::{Body, Call, failure, json_answer},
    store::{Key, Store},
};

fn key(call: &Call, object: &Value) -> Key {
    let of = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let namespace = call.namespace.clone().unwrap_or_else(|| of("namespace"));
    let name = call.name.clone().unwrap_or_else(|| of("name"));
    Store::key(call.resource, &namespace, &name)
}

fn parse(bytes: &[u8]) -> Result<Value, Box<Response<Body>>> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("the body is no JSON: {error}");
        Box::new(failure(400, "BadRequest", &message))
    })
}

fn conflict(call: &Call, name: &str, why: &str) -> Response<Body> {
    let resource = call.resource.full_name();
    let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
    failure(409, "Conflict", &message)
}

/// Gives an object what its place says of it.
fn placed(call: &Call, (_, namespace, name): &Key, mut object: Value) -> Value {
    object["apiVersion"] = json!(call.resource.api_version());
    object["kind"] = json!(call.resource.kind);
    object["metadata"]["name"] = json!(name);
    if call.resource.namespaced {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

pub(super) fn create(call: &Call, bytes: &[u8], shared: &Shared) -> Response<Body> {
    let mut object = match parse(bytes) {
        Ok(object) => object,
        Err(refused) => return *refused,
    };
    let mut state = shared.state();
    if let Some(prefix) = object["metadata"]["generateName"].as_str() {
        object["metadata"]["name"] = json!(format!("{prefix}{}", state.store.version));
    }
    let key = key(call, &object);
    if state.store.find(&key).is_some() {
        let message = format!("{} \"{}\" already exists", call.resource.full_name(), key.2);
        return failure(409, "AlreadyExists", &message);
    }
    let mut object = placed(call, &key, object);
    if call.resource.status {
        object.as_object_mut().expect("an object").remove("status");
    }
    let stored = state.store.put(key, object);
    drop(state);
    shared.tell();
    json_answer(StatusCode::CREATED, &stored)
}

/// The object that a write makes of the one that is there: through `status` only the status changes,
/// else all but the status.
fn only_its_part(call: &Call, old: &Value, mut new: Value) -> Value {
    if call.status {
        let mut kept = old.clone();
        kept["status"] = new["status"].take();
        return kept;
    }
    if call.resource.status {
        new["status"] = old["status"].clone();
    }
    new
}

pub(super) fn update(call: &Call, bytes: &[u8], shared: &Shared) -> Response<Body> {
    let object = match parse(bytes) {
        Ok(object) => object,
        Err(refused) => return *refused,
    };
    let mut state = shared.state();
    let key = key(call, &object);
    let Some(old) = state.store.find(&key).cloned() else {
        return not_found(call);
    };
    let wanted = &object["metadata"]["resourceVersion"];
    if !wanted.is_null() && wanted != &old["metadata"]["resourceVersion"] {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return conflict(call, &key.2, why);
    }
    let new = placed(call, &key, only_its_part(call, &old, object));
    if let Some(owners) = state.store.owners.get_mut(&key) {
        owners.overwrite(&new);
    }
    let stored = state.store.put(key, new);
    drop(state);
    shared.tell();
    json_answer(StatusCode::OK, &stored)
}

pub(super) fn patch(call: &Call, bytes: &[u8], kind: &str, shared: &Shared) -> Response<Body> {
    let change = match parse(bytes) {
        Ok(change) => change,
        Err(refused) => return *refused,
    };
    let applied = kind.starts_with("application/apply-patch");
    let mut state = shared.state();
    let key = key(call, &change);
    let old = state.store.find(&key).cloned();
    let code = if old.is_some() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let Some(old) = old.or_else(|| (applied && !call.status).then(|| json!({"metadata": {}})))
    else {
        return not_found(call);
    };
    let uid = &change["metadata"]["uid"];
    if !uid.is_null() && *uid != old["metadata"]["uid"] {
        let why = format!("Precondition failed: UID in precondition: {uid}");
        return conflict(call, &key.2, &why);
    }
    let mut new = old.clone();
    if applied {
        let Some(manager) = call.query.get("fieldManager") else {
            return failure(
                400,
                "BadRequest",
                "fieldManager is required for apply patch",
            );
        };
        let force = call.query.get("force").is_some_and(|force| force == "true");
        let part = if call.status { "status" } else { "" };
        let owners = state.store.owners.entry(key.clone()).or_default();
        if let Err(others) = owners.apply((manager, part), &mut new, &change, force) {
            return conflict(call, &key.2, &format!("conflicts with {others:?}"));
        }
    } else {
        apply::merge(&mut new, &change);
        new = only_its_part(call, &old, new);
        if let Some(owners) = state.store.owners.get_mut(&key) {
            owners.overwrite(&new);
        }
    }
    let new = placed(call, &key, new);
    let mut same = new.clone();
    same["metadata"]["managedFields"] = old["metadata"]["managedFields"].clone();
    let owned = state
        .store
        .owners
        .get(&key)
        .map(apply::Owners::managed_fields);
    let owned = owned.unwrap_or(Value::Null);
    // What changes nothing is no new version.
    if same == old && (owned == old["metadata"]["managedFields"]) {
        return json_answer(code, &old);
    }
    let stored = state.store.put(key, new);
    drop(state);
    shared.tell();
    json_answer(code, &stored)
}

pub(super) fn delete(call: &Call, shared: &Shared) -> Response<Body> {
    let removed = shared.state().store.remove(&key(call, &Value::Null));
    shared.tell();
    match removed {
        Some(_) => json_answer(
            StatusCode::OK,
            &json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
        ),
        None => not_found(call),
    }
}
