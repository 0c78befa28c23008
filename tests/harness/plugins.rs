//! Plugins as tests write them: an object, and a file beside it.

use serde_json::{Value, json};

use crate::Object;

/// A Plugin in the making.
#[derive(Clone, Debug)]
pub struct PluginBuilder {
    pub(crate) object: Object,
    pub(crate) file: Option<(String, Vec<u8>)>,
}

/// A Plugin in the namespace `default`, whose code lies beside it in `NAME.wasm`.
pub fn plugin(name: &str, code: &[u8]) -> PluginBuilder {
    let file = format!("{name}.wasm");
    PluginBuilder {
        object: Object(json!({
            "apiVersion": "portcullis.dev/v1alpha1",
            "kind": "Plugin",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"source": {"file": file}},
        })),
        file: Some((file, code.to_vec())),
    }
}

impl PluginBuilder {
    /// Moves it into a namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.object = self.object.namespace(namespace);
        self
    }

    /// Sets a field of its spec: `grants`, `limits`, `onError`.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.object = self.object.set(&format!("spec/{field}"), value);
        self
    }

    /// The object alone.
    pub fn object(self) -> Object {
        self.object
    }

    /// Leaves the file away.
    pub fn without_file(self) -> Self {
        Self { file: None, ..self }
    }
}
