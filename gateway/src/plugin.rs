//! `portcullis plugin`: what authors of filters need, from the first line to the finished component.

mod bench;
mod build;
mod case;
mod inspect;
mod run;
mod scaffold;
mod test;
mod toolchain;

use std::{fs, path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;
use proxy::filter::{Services, Steering};
use route::{Backends, Grants, Isolation, Limits, OnError};
use wasm::{Attached, Component, Engine, Plugin, PluginSpec, Shared};

use crate::cli::{Mistakes, PluginCommand, Reader, TermFlags, Zero};

/// Runs one of the commands.
pub(crate) fn command(command: PluginCommand) -> anyhow::Result<ExitCode> {
    match command {
        PluginCommand::New(flags) => scaffold::command(flags),
        PluginCommand::Build(flags) => build::command(&flags),
        PluginCommand::Test(flags) => test::command(&flags),
        PluginCommand::Inspect(flags) => inspect::command(&flags),
        PluginCommand::Bench(flags) => bench::command(&flags),
    }
}

/// A component from a file, with the engine that runs it.
fn load(file: &Path) -> anyhow::Result<(Engine, Arc<Component>)> {
    let bytes = fs::read(file).with_context(|| {
        Mistakes::one(format!(
            "cannot read {}; write the path of a component, as `portcullis plugin build` makes it",
            file.display()
        ))
    })?;
    let engine = Engine::new(&wasm::Settings::default())?;
    let component = match Component::load(&engine, &bytes) {
        Err(wasm::LoadError::CoreModule) => {
            let shown = file.display();
            return Err(Mistakes::one(format!(
                "{shown} is a core module, not a component; run: portcullis plugin build {shown} --output FILE"
            ))
            .into());
        }
        other => {
            other.with_context(|| Mistakes::one(format!("{} cannot be loaded", file.display())))?
        }
    };
    Ok((engine, Arc::new(component)))
}

/// What a hook may take, as the flags say.
fn limits(terms: &TermFlags) -> Result<Limits, Mistakes> {
    let mut reader = Reader::default();
    let limits = Limits {
        time: reader.time("--time", &terms.time, Zero::Refused),
        memory: reader.size("--memory", &terms.memory, Zero::Refused),
        ..Limits::default()
    };
    reader.finish(limits)
}

/// The configuration that the flags give.
fn config(terms: &TermFlags) -> anyhow::Result<serde_json::Value> {
    let text = terms.config.as_deref().unwrap_or("{}");
    serde_json::from_str(text)
        .with_context(|| Mistakes::one("--config is not JSON, as in '{\"name\": \"you\"}'"))
}

/// The component as a plugin with everything granted, and otherwise the limits of production.
fn granted(
    engine: &Engine,
    component: &Arc<Component>,
    limits: Limits,
    isolation: Isolation,
) -> anyhow::Result<Arc<Plugin>> {
    let spec = PluginSpec {
        name: component.info().name.clone(),
        component: Arc::clone(component),
        grants: Grants {
            random: true,
            metrics: true,
            rate_limit: true,
            key_value: Some(1 << 20),
            // So that it loads; whatever it asks for is denied.
            http: vec!["nobody.invalid".to_owned()],
            backends: Backends::All,
        },
        limits,
        isolation,
        shared: Arc::new(Shared::default()),
    };
    Ok(Plugin::new(engine, spec)?)
}

/// The plugin with a configuration, as it stands in a chain.
fn attached(plugin: &Arc<Plugin>, config: &serde_json::Value) -> anyhow::Result<Attached> {
    let attachment = plugin
        .attach("default", "default/test/filter", config.to_string())
        .context("the configuration is refused")?;
    Ok(Attached::new(attachment, OnError::Closed))
}

/// Every backend is there, and keeps every session.
#[derive(Debug)]
struct Everything;

impl Services for Everything {
    fn has(&self, _backend: &str) -> bool {
        true
    }

    fn keeps_session(&self, _steering: &Steering, _endpoint: &str) -> bool {
        true
    }
}
