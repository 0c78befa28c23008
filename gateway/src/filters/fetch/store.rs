//! What was fetched, on disk: by namespace and SHA-256, which is checked whenever it is read.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::super::code::Code;

/// A folder of what was fetched; without one, nothing is kept.
pub(super) struct Store(Option<PathBuf>);

impl Store {
    /// The folder, made if need be; none where others could read or write it.
    pub(super) fn open(folder: Option<&Path>) -> Self {
        let Some(folder) = folder else {
            return Self(None);
        };
        match wasm::private_folder(folder) {
            Ok(()) => Self(Some(folder.to_owned())),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "fetched plugins are not kept");
                Self(None)
            }
        }
    }

    /// What was fetched for a namespace, if it is still what it was.
    pub(super) fn find(&self, namespace: &str, digest: &str) -> Option<Code> {
        let path = self.path(namespace, digest, FETCHED)?;
        let file = File::open(&path).ok()?;
        if file.metadata().ok()?.len() > wasm::MOST_CODE as u64 {
            return None;
        }
        let code = Code::of(fs::read(&path).ok()?.into());
        if *code.digest != *digest {
            let _gone = fs::remove_file(&path);
            return None;
        }
        // The oldest go first.
        let _unseen = file.set_modified(SystemTime::now());
        Some(code)
    }

    /// Keeps what was fetched for a namespace.
    pub(super) fn keep(&self, namespace: &str, code: &Code) {
        let path = self.path(namespace, &code.digest, FETCHED);
        self.write(path, &code.bytes);
        self.tidy();
    }

    /// The digest of the last code of a plugin that worked.
    pub(super) fn remembered(&self, namespace: &str, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.path(namespace, name, LAST)?).ok()?;
        Some(text).filter(|text| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// Remembers which code of a plugin works.
    pub(super) fn remember(&self, namespace: &str, name: &str, digest: &str) {
        if self.remembered(namespace, name).as_deref() != Some(digest) {
            self.write(self.path(namespace, name, LAST), digest.as_bytes());
        }
    }

    /// Forgets it.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        if let Some(path) = self.path(namespace, name, LAST) {
            let _gone = fs::remove_file(path);
        }
    }

    /// Names of namespaces have no dots, and no name in a cluster begins with one or has a slash.
    fn path(&self, namespace: &str, name: &str, what: &str) -> Option<PathBuf> {
        let folder = self.0.as_ref()?;
        Some(folder.join(format!("{namespace}.{name}.{what}")))
    }

    fn write(&self, path: Option<PathBuf>, content: &[u8]) {
        let (Some(folder), Some(path)) = (&self.0, path) else {
            return;
        };
        let written = || -> io::Result<()> {
            // Another process sees the whole file or none.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(content)?;
            file.persist(path)?;
            Ok(())
        };
        if let Err(error) = written() {
            tracing::warn!(%error, "a fetched plugin is not kept");
        }
    }

    /// Removes what was not used for longest, beyond what may be kept.
    fn tidy(&self) {
        let entries = self.0.as_ref().and_then(|folder| fs::read_dir(folder).ok());
        let fetched = entries.into_iter().flatten().flatten().filter_map(|entry| {
            let path = entry.path();
            let meta = entry.metadata().ok()?;
            let fetched = path.extension().is_some_and(|end| end == FETCHED);
            fetched.then_some((meta.modified().ok()?, meta.len(), path))
        });
        let mut fetched: Vec<_> = fetched.collect();
        fetched.sort_unstable_by(|one, other| other.cmp(one));
        let mut sum = 0;
        for (_, size, path) in fetched {
            sum += size;
            if sum > MOST {
                let _gone = fs::remove_file(path);
            }
        }
    }
}

const FETCHED: &str = "fetched";
const LAST: &str = "last";
/// How much is kept, in bytes: the folder may be a small volume.
const MOST: u64 = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_by_its_namespace_while_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&folder.path().join("cache")));
        let code = Code::of(b"code".as_slice().into());
        store.keep("team", &code);
        let found = |namespace| store.find(namespace, &code.digest).map(|code| code.bytes);
        assert_eq!(found("team").as_deref(), Some(&b"code"[..]));
        assert_eq!(found("other"), None);
        let path = store.path("team", &code.digest, FETCHED).unwrap();
        fs::write(&path, "cold").unwrap();
        assert_eq!(found("team"), None);
        assert!(!path.exists(), "what is broken is removed");
    }

    #[test]
    fn the_last_good_code_of_a_plugin_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&folder.path().join("cache")));
        let digest = "a".repeat(64);
        assert_eq!(store.remembered("team", "geo"), None);
        store.remember("team", "geo", &digest);
        assert_eq!(store.remembered("team", "geo"), Some(digest.clone()));
        fs::write(store.path("team", "geo", LAST).unwrap(), "../../x").unwrap();
        assert_eq!(store.remembered("team", "geo"), None);
        store.remember("team", "geo", &digest);
        assert_eq!(store.remembered("team", "geo"), Some(digest));
    }

    #[test]
    fn without_a_private_folder_nothing_is_kept() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for store in [Store::open(Some(folder.path())), Store::open(None)] {
            let code = Code::of(b"code".as_slice().into());
            store.keep("team", &code);
            assert!(store.find("team", &code.digest).is_none());
        }
    }
}
