//! What a component exports: found by name when it is loaded, checked by type when it is started.
//!
//! Functions of this kind can be called on the worker's own stack and on a fiber, which generated
//! bindings cannot: they know one way only.

use bytes::Bytes;
use wasmtime::{
    Error, Result, Store,
    component::{
        Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, Resource,
        TypedFunc,
    },
};

use crate::{
    bindings::{
        exports::portcullis::filter::plugin::{ConfigError, Info},
        portcullis::filter::types::{BodyVerdict, ChunkVerdict, RequestVerdict, ResponseVerdict},
    },
    component::Hook,
    host::{Guest, RequestHandle, ResponseHandle},
};

type Request = Resource<RequestHandle>;
type Response = Resource<ResponseHandle>;

/// What a function is given and what it gives.
pub(crate) type Function<P, R> = TypedFunc<P, (R,)>;
pub(crate) type OnRequest = (u32, Request);
pub(crate) type OnResponse = (u32, Request, Response);
pub(crate) type OnRequestBody = (u32, Request, Bytes);
pub(crate) type OnResponseBody = (u32, Request, Response, Bytes);
pub(crate) type OnResponseChunk = (u32, Request, Response, Bytes, bool);
pub(crate) type Configured = std::result::Result<(), ConfigError>;

/// Where the functions of a component are.
pub(crate) struct Exports {
    describe: ComponentExportIndex,
    configure: ComponentExportIndex,
    release: ComponentExportIndex,
    request: Option<ComponentExportIndex>,
    response: Option<ComponentExportIndex>,
    request_body: Option<ComponentExportIndex>,
    response_body: Option<ComponentExportIndex>,
    response_stream: Option<ComponentExportIndex>,
}

/// The functions of an instance.
pub(crate) struct Functions {
    pub(crate) describe: Function<(), Info>,
    pub(crate) configure: Function<(u32, std::sync::Arc<str>), Configured>,
    pub(crate) release: TypedFunc<(u32,), ()>,
    pub(crate) request: Option<Function<OnRequest, RequestVerdict>>,
    pub(crate) response: Option<Function<OnResponse, ResponseVerdict>>,
    pub(crate) request_body: Option<Function<OnRequestBody, BodyVerdict>>,
    pub(crate) response_body: Option<Function<OnResponseBody, BodyVerdict>>,
    pub(crate) response_stream: Option<Function<OnResponseChunk, ChunkVerdict>>,
}

impl Exports {
    /// Those of a component that has these hooks.
    pub(crate) fn find(component: &Component, hooks: &[Hook]) -> Result<Self> {
        let plugin = |function| find(component, "plugin", function);
        let hook = |hook: Hook| {
            let has = hooks.contains(&hook);
            has.then(|| find(component, hook.interface(), hook.function()))
                .transpose()
        };
        Ok(Self {
            describe: plugin("describe")?,
            configure: plugin("configure")?,
            release: plugin("release")?,
            request: hook(Hook::Request)?,
            response: hook(Hook::Response)?,
            request_body: hook(Hook::RequestBody)?,
            response_body: hook(Hook::ResponseBody)?,
            response_stream: hook(Hook::ResponseStream)?,
        })
    }

    /// Those of an instance. Fails where a type is not that of the world.
    pub(crate) fn load(&self, store: &mut Store<Guest>, instance: Instance) -> Result<Functions> {
        Ok(Functions {
            describe: instance.get_typed_func(&mut *store, self.describe)?,
            configure: instance.get_typed_func(&mut *store, self.configure)?,
            release: instance.get_typed_func(&mut *store, self.release)?,
            request: hook(store, instance, self.request.as_ref())?,
            response: hook(store, instance, self.response.as_ref())?,
            request_body: hook(store, instance, self.request_body.as_ref())?,
            response_body: hook(store, instance, self.response_body.as_ref())?,
            response_stream: hook(store, instance, self.response_stream.as_ref())?,
        })
    }
}

/// A function by name. Another patch version of the interface is found too.
fn find(component: &Component, interface: &str, function: &str) -> Result<ComponentExportIndex> {
    let name = format!("portcullis:filter/{interface}@0.1.0");
    let missing = || Error::msg(format!("`{name}` has no `{function}`"));
    let instance = component.get_export_index(None, &name);
    let instance = instance.ok_or_else(missing)?;
    let function = component.get_export_index(Some(&instance), function);
    function.ok_or_else(missing)
}

fn hook<P, R>(
    store: &mut Store<Guest>,
    instance: Instance,
    index: Option<&ComponentExportIndex>,
) -> Result<Option<TypedFunc<P, R>>>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let function = index.map(|index| instance.get_typed_func(store, *index));
    function.transpose()
}
