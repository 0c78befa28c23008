//! Compiled components on disk, so that a restart does not compile again.
//!
//! What is read back becomes machine code of this process. So the folder is private to the user it
//! runs as, a file is named by the digest of its component and by what compiled it, and it holds the
//! digest of its own content; what fits not is compiled again, silently.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::Engine;

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The folder, made if need be; none where others could write to it.
    pub(crate) fn open(folder: &Path) -> Option<Self> {
        match private_folder(folder) {
            Ok(()) => Some(Self {
                folder: folder.to_owned(),
            }),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "compiled plugins are not kept");
                None
            }
        }
    }

    /// A component that was compiled before, by this very engine.
    pub(crate) fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let content = fs::read(self.path(engine, digest)).ok()?;
        let (seal, compiled) = content.split_at_checked(SEAL)?;
        if Sha256::digest(compiled).as_slice() != seal {
            return None;
        }
        #[expect(unsafe_code, reason = "a cache has no other way back")]
        // SAFETY: these are bytes that `Component::serialize` gave to `keep`: only this user can
        // write to the folder, and the seal shows that they are whole. An engine that is configured
        // otherwise has other names, and wasmtime checks that again.
        let component = unsafe { Component::deserialize(engine.inner(), compiled) };
        component.ok()
    }

    /// Keeps a compiled component. A cache that cannot be written to is none.
    pub(crate) fn keep(&self, engine: &Engine, digest: &str, component: &Component) {
        let kept = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|compiled| self.write(&self.path(engine, digest), &compiled));
        if let Err(error) = kept {
            tracing::warn!(%error, "a compiled plugin is not kept");
        }
    }

    /// Another process sees the whole file or none.
    fn write(&self, path: &Path, compiled: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&Sha256::digest(compiled))?;
        file.write_all(compiled)?;
        file.persist(path)?;
        Ok(())
    }

    fn path(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine
            .inner()
            .precompile_compatibility_hash()
            .hash(&mut hasher);
        let compiler = hasher.finish();
        self.folder.join(format!("{digest}-{compiler:016x}.cwasm"))
    }
}

/// Makes a folder if need be, and sees that it is this user's alone: an error where it is not.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    // Not through a link: whoever can change that could lead elsewhere.
    let metadata = fs::symlink_metadata(folder)?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if own && metadata.is_dir() && metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::other(
        "the folder must belong to the gateway's user, with mode 0700",
    ))
}

/// The length of a SHA-256.
const SEAL: usize = 32;
