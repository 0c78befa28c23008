//! Bytes in, a checked component out: compiled, type-checked, asked who it is.

mod cache;
mod shape;
mod world;

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use wasmtime::component::{InstancePre, Linker};

pub(crate) use cache::Cache;
pub use cache::private_folder;
pub use world::{Capability, Hook};

use crate::{
    clock::Clock,
    engine::Engine,
    exports::Exports,
    failure::Failure,
    host::{self, Guest, Phase},
    instance::{Instance, Place, Terms, here},
    schema::Schema,
    statistics::Life,
    text::line,
};

/// Why bytes are not a component that the gateway can run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// More than 32 MiB.
    #[error("it has {size} bytes; a component has at most 32 MiB: strip it of debug information")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Something else altogether.
    #[error("it is not WebAssembly; give a component, a `.wasm` file")]
    NotWasm,
    /// A module, not a component.
    #[error("it is a core module, not a component; run `portcullis plugin build` on it")]
    CoreModule,
    /// It ends too early.
    #[error("it ends within a section at byte {at}; it was not copied whole")]
    Truncated {
        /// Where that section begins.
        at: usize,
    },
    /// It breaks the rules of WebAssembly, or uses what filters do not have.
    #[error("it is not a component that this gateway can compile: {0:#}")]
    Malformed(#[source] wasmtime::Error),
    /// It begins with more than an instance can have here.
    #[error(
        "it begins with more than an instance can have: {0:#}; raise --plugin-max-memory if it is memory, or \
         build it with less"
    )]
    TooMuch(#[source] wasmtime::Error),
    /// It was built for another version of the world.
    #[error("it was built for portcullis:filter@{found}; this gateway has 0.1: rebuild it")]
    Version {
        /// The version it was built for.
        found: String,
    },
    /// It imports what no filter can have.
    #[error("it imports `{name}`, which a filter cannot have; build it for wasm32-unknown-unknown")]
    Foreign {
        /// The name of the import.
        name: String,
    },
    /// It imports or exports what this version of the gateway does not offer.
    #[error("it needs `{interface}`, which this version of the gateway does not offer")]
    Unavailable {
        /// The name of the interface.
        interface: String,
    },
    /// It imports a capability without the grant for it.
    #[error(
        "it imports `portcullis:filter/{}`; grant `{}` to the plugin, or build it without",
        .0.interface(),
        .0.grant()
    )]
    NotGranted(Capability),
    /// It does not export `plugin`.
    #[error("it does not export `portcullis:filter/plugin`; every filter does")]
    NoPlugin,
    /// It exports no hook, so that it would never be called.
    #[error("it exports no hook; a filter has at least one, like `portcullis:filter/request-hook`")]
    NoHook,
    /// An import or export has another type than in the world.
    #[error("its imports or exports are not those of portcullis:filter@0.1: {0:#}")]
    Mismatch(#[source] wasmtime::Error),
    /// It needs more memory than it may have.
    #[error("it begins with {needed} bytes of memory and may have {limit}; raise `limits.memory`")]
    Memory {
        /// What it begins with.
        needed: usize,
        /// What it may have.
        limit: usize,
    },
    /// What runs calls that take their time could not be started.
    #[error("the threads for plugins that take their time could not be started: {0}")]
    Aside(#[source] std::io::Error),
    /// It failed to say who it is.
    #[error("its `describe` failed: {0}")]
    Describe(#[source] Failure),
    /// Its schema cannot be used.
    #[error("its `describe` gives a schema of its configuration that cannot be used: {why}")]
    Schema {
        /// What is wrong with it.
        why: String,
    },
}

/// What a component says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The JSON Schema of its configuration.
    pub schema: String,
}

/// A component that the gateway can run, compiled and linked with exactly what it imports.
pub struct Component {
    template: Template,
    digest: String,
    size: usize,
    memory: usize,
    info: Info,
    schema: Schema,
    hooks: Vec<Hook>,
    imports: Vec<String>,
    capabilities: Vec<Capability>,
}

/// What instances are made from.
pub(crate) struct Template {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) exports: Exports,
    /// Whether its calls need a stack of their own, as they can wait.
    pub(crate) waits: bool,
}

impl Component {
    /// Compiles and checks a component. Takes a tenth of a second and more, unless it is cached:
    /// never call it on a worker.
    pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() > MOST_CODE {
            return Err(LoadError::TooLarge { size: bytes.len() });
        }
        shape::check(bytes)?;

        let digest = hex(&Sha256::digest(bytes));
        let compiled = compile(engine, bytes, &digest)?;

        // What it imports and exports, by name; linking then compares the types.
        let world = world::check(engine, &compiled)?;
        let memory = memory(engine, &compiled)?;
        let mut linker = Linker::new(engine.inner());
        host::link(&mut linker, &world.capabilities).map_err(LoadError::Mismatch)?;
        let template = Template {
            clock: Arc::clone(engine.clock()),
            waits: world.capabilities.contains(&Capability::HttpClient),
            exports: Exports::find(&compiled, &world.hooks).map_err(LoadError::Mismatch)?,
            pre: linker
                .instantiate_pre(&compiled)
                .map_err(LoadError::Mismatch)?,
        };

        let info = describe(engine, &template)?;
        let schema = Schema::compile(&info.schema).map_err(|why| LoadError::Schema { why })?;
        Ok(Self {
            template,
            digest,
            size: bytes.len(),
            memory,
            info,
            schema,
            hooks: world.hooks,
            imports: world.imports,
            capabilities: world.capabilities,
        })
    }

    /// Its SHA-256, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What it says about itself.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The hooks that it exports.
    pub fn hooks(&self) -> &[Hook] {
        &self.hooks
    }

    /// The interfaces of `portcullis:filter` that it imports, but for `types`, which all do.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The capabilities that it imports, and that need a grant.
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// The memory it begins with.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// What its configurations must fulfil.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) fn template(&self) -> &Template {
        &self.template
    }
}

fn compile(
    engine: &Engine,
    bytes: &[u8],
    digest: &str,
) -> Result<wasmtime::component::Component, LoadError> {
    let cached = engine.cache().and_then(|cache| cache.find(engine, digest));
    if let Some(compiled) = cached {
        return Ok(compiled);
    }
    let compiled =
        wasmtime::component::Component::from_binary(engine.inner(), bytes).map_err(malformed)?;
    if let Some(cache) = engine.cache() {
        cache.keep(engine, digest, &compiled);
    }
    Ok(compiled)
}

/// What wasmtime refuses: it tells what breaks the rules from what does not fit in text only.
fn malformed(error: wasmtime::Error) -> LoadError {
    if format!("{error:#}").contains("exceeds the limit of") {
        return LoadError::TooMuch(error);
    }
    LoadError::Malformed(error)
}

/// The memory that an instance begins with.
fn memory(engine: &Engine, compiled: &wasmtime::component::Component) -> Result<usize, LoadError> {
    const PAGE: u64 = 64 << 10;
    let resources = compiled.resources_required();
    let pages = resources.and_then(|resources| resources.max_initial_memory_size);
    let needed = pages.unwrap_or(0).saturating_mul(PAGE);
    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
    let limit = engine.max_memory();
    if needed > limit {
        return Err(LoadError::Memory { needed, limit });
    }
    Ok(needed)
}

fn describe(engine: &Engine, template: &Template) -> Result<Info, LoadError> {
    let name: Arc<str> = Arc::from("describe");
    let start = Instance::start(
        template,
        (name, engine.max_memory()),
        Life::uncounted(),
        template.waits,
        Place::Here,
    );
    let mut instance = here(start).map_err(|failure| failure.or_mismatch())?;
    let terms = Terms::setup(Phase::Describe, Place::Here);
    let info = here(instance.call(terms, None, None, |functions, _| {
        Some((functions.describe, ()))
    }))
    .map_err(LoadError::Describe)?;
    Ok(Info {
        name: line(&info.name, 128),
        version: line(&info.version, 128),
        schema: info.config_schema,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The largest component, in bytes.
pub const MOST_CODE: usize = 32 << 20;

/// How long starting, describing and configuring may take.
pub(crate) const SETUP_TIME: Duration = Duration::from_millis(100);
