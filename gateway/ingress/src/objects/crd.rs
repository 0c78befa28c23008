//! The CustomResourceDefinition of Plugins, from the types that read them: the chart's file is this.

use std::{borrow::Cow, path::Path};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResourceExt;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::plugin::{Definition, Scalar};

/// What the gateway says of a Plugin.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PluginStatus {
    /// Accepted, Loaded and Programmed.
    #[schemars(with = "Vec<Map>")]
    pub(crate) conditions: Vec<Condition>,
}

type Map = std::collections::BTreeMap<String, String>;

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}

/// The definition, with what the types cannot say.
fn definition() -> Value {
    let mut crd = serde_json::to_value(Definition::crd()).unwrap();
    let version = &mut crd["spec"]["versions"][0];
    let column = |name: &str| {
        let path = format!(".status.conditions[?(@.type==\"{name}\")].status");
        json!({"name": name, "type": "string", "jsonPath": path})
    };
    version["additionalPrinterColumns"] = json!([
        column("Accepted"),
        column("Loaded"),
        column("Programmed"),
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]);
    let schema = &mut version["schema"]["openAPIV3Schema"]["properties"];
    // Absent is absent: the gateway has the defaults.
    tidy(schema);
    let spec = &mut schema["spec"];
    spec["required"] = json!(["source"]);
    spec["x-kubernetes-validations"] = json!([{
        "rule": "!has(self.source.url) || has(self.sha256)",
        "message": "a url needs its sha256",
    }]);
    let fields = &mut spec["properties"];
    fields["source"]["x-kubernetes-validations"] = json!([{
        "rule": "[has(self.file), has(self.oci), has(self.url), has(self.configMap)].filter(x, x).size() == 1",
        "message": "write exactly one of file, oci, url and configMap",
    }]);
    fields["sha256"]["pattern"] = json!("^[0-9a-fA-F]{64}$");
    fields["isolation"]["enum"] = json!(["shared", "request"]);
    fields["onError"]["enum"] = json!(["closed", "open"]);
    fields["config"] = json!({
        "type": "object",
        "description": fields["config"]["description"],
        "x-kubernetes-preserve-unknown-fields": true,
    });
    fields["source"]["properties"]["configMap"]["required"] = json!(["name", "key"]);
    let text = json!({"type": "string"});
    let condition = json!({
        "type": "object",
        "required": ["type", "status"],
        "properties": {
            "type": text, "reason": text, "message": text,
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "observedGeneration": {"type": "integer", "format": "int64"},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
        },
    });
    schema["status"]["properties"]["conditions"] = json!({
        "type": "array",
        "description": schema["status"]["properties"]["conditions"]["description"],
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    });
    schema["status"]
        .as_object_mut()
        .unwrap()
        .shift_remove("required");
    crd
}

/// Takes out defaults, and that what may be absent may also be null.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.shift_remove("default");
            map.shift_remove("nullable");
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_chart_has_the_definition_of_plugins() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/helm/portcullis/crds/plugins.yaml");
    let head = "# Made from the types that read Plugins; write it anew with\n\
                #   WRITE=1 cargo test -p portcullis-ingress the_chart_has_the_definition\n";
    let text = head.to_owned() + &serde_saphyr::to_string(&definition()).unwrap();
    if std::env::var_os("WRITE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept == text, "{} is out of date: {head}", file.display());
}
