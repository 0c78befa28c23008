//! The code of plugins: part of the program, or files that change.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use route::Source;
use sha2::{Digest, Sha256};

use crate::shipped::SHIPPED;

/// The bytes of a plugin with their SHA-256.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) bytes: Arc<[u8]>,
    pub(super) digest: Arc<str>,
}

/// Why there is no code, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoCode {
    pub(super) message: String,
    pub(super) hint: String,
}

/// Files that were read, and whether they are still the same.
#[derive(Debug, Default)]
pub(super) struct Files {
    known: HashMap<PathBuf, (Stamp, SystemTime, Code)>,
    /// Those that were asked for since the last time that others were forgotten.
    seen: HashSet<PathBuf>,
    embedded: HashMap<String, Code>,
    /// What stands in objects.
    inline: Vec<Code>,
}

/// What tells a changed file.
type Stamp = (u64, u64, u64, [i64; 4]);

impl Files {
    /// The code behind a source, read again only where it may have changed.
    pub(super) fn find(&mut self, source: &Source) -> Result<Code, NoCode> {
        match source {
            Source::Embedded(name) => self.embedded(name),
            Source::File { name, folders } => self.file(name, folders),
            Source::Inline(bytes) => Ok(self.inline(bytes)),
            Source::Missing { message, hint } => Err(NoCode::new(message, hint)),
            Source::Oci(_) | Source::Url(_) | Source::Unseen => {
                Err(NoCode::new("its code is not here", "name a source that is"))
            }
        }
    }

    /// Forgets the files that no plugin has any longer.
    pub(super) fn forget_unseen(&mut self) {
        // Whoever else holds the bytes is an object that is still there.
        self.inline
            .retain(|code| Arc::strong_count(&code.bytes) > 1);
        let seen = std::mem::take(&mut self.seen);
        self.known.retain(|path, _| seen.contains(path));
    }

    fn embedded(&mut self, name: &str) -> Result<Code, NoCode> {
        if let Some(code) = self.embedded.get(name) {
            return Ok(code.clone());
        }
        let Some((_, bytes)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) else {
            let message = format!("no filter called {name} ships with the gateway");
            return Err(NoCode::new(message, "name one that does"));
        };
        let code = Code::of((*bytes).into());
        self.embedded.insert(name.to_owned(), code.clone());
        Ok(code)
    }

    /// The digest of the same bytes is made once.
    fn inline(&mut self, bytes: &Arc<[u8]>) -> Code {
        let known = self.inline.iter();
        let mut known = known.filter(|code| Arc::ptr_eq(&code.bytes, bytes));
        if let Some(code) = known.next() {
            return code.clone();
        }
        let code = Code::of(Arc::clone(bytes));
        self.inline.push(code.clone());
        code
    }

    fn file(&mut self, name: &str, folders: &[PathBuf]) -> Result<Code, NoCode> {
        for folder in folders {
            let path = match inside(folder, name) {
                Ok(Some(path)) => path,
                Ok(None) => continue,
                Err(error) => return Err(error),
            };
            return self.read(&path);
        }
        let places: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        let message = if places.is_empty() {
            format!("there is no folder to look for the file {name} in")
        } else {
            format!("there is no file {name} in {}", places.join(" or "))
        };
        Err(NoCode::new(
            message,
            "put it there, or name another one; the operator's folder is --plugins DIR",
        ))
    }

    fn read(&mut self, path: &Path) -> Result<Code, NoCode> {
        let unreadable = |error: io::Error| {
            NoCode::new(
                format!("the file {} cannot be read: {error}", path.display()),
                "make it a file that the gateway may read",
            )
        };
        self.seen.insert(path.to_owned());
        let stamp = stamp(&fs::metadata(path).map_err(unreadable)?);
        if let Some((old, read, code)) = self.known.get(path)
            // What was written right after it was read has the same times.
            && *old == stamp
            && written(&stamp) + RACY < *read
        {
            return Ok(code.clone());
        }
        let (_, _, size, _) = stamp;
        if size > wasm::MOST_CODE as u64 {
            let message = format!("the file {} has {size} bytes", path.display());
            let hint = "a component has at most 32 MiB: strip it of debug information";
            return Err(NoCode::new(message, hint));
        }
        let now = SystemTime::now();
        let bytes = fs::read(path).map_err(unreadable)?;
        let code = match self.known.remove(path) {
            Some((_, _, code)) if *code.bytes == *bytes => code,
            Some(_) | None => Code::of(bytes.into()),
        };
        self.known
            .insert(path.to_owned(), (stamp, now, code.clone()));
        Ok(code)
    }
}

/// A file below a folder, if it is there; links may not lead out of the folder.
fn inside(folder: &Path, name: &str) -> Result<Option<PathBuf>, NoCode> {
    let Ok(root) = folder.canonicalize() else {
        return Ok(None);
    };
    let Ok(path) = folder.join(name).canonicalize() else {
        return Ok(None);
    };
    if path.starts_with(&root) {
        return Ok(Some(path));
    }
    Err(NoCode::new(
        format!("the file {name} leads out of {}", folder.display()),
        "put the file itself there, not a link to somewhere else",
    ))
}

fn stamp(meta: &Metadata) -> Stamp {
    let times = [
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ];
    (meta.dev(), meta.ino(), meta.len(), times)
}

fn written((.., [modified, _, changed, _]): &Stamp) -> SystemTime {
    let seconds = u64::try_from(*modified.max(changed)).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

impl Code {
    pub(super) fn of(bytes: Arc<[u8]>) -> Self {
        let digest = Sha256::digest(&bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            digest: digest.into(),
            bytes,
        }
    }
}

impl NoCode {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// How coarse the times of a file system may be.
const RACY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, folders: &[&Path]) -> Source {
        Source::File {
            name: name.to_owned(),
            folders: folders.iter().map(|folder| folder.to_path_buf()).collect(),
        }
    }

    #[test]
    fn the_first_folder_that_has_the_file_counts() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("a.wasm"), "other").unwrap();
        let source = file("a.wasm", &[one.path(), other.path()]);
        let mut files = Files::default();
        assert_eq!(*files.find(&source).unwrap().bytes, *b"other");
        fs::write(one.path().join("a.wasm"), "one").unwrap();
        assert_eq!(*files.find(&source).unwrap().bytes, *b"one");
        fs::write(one.path().join("a.wasm"), "two").unwrap();
        assert_eq!(*files.find(&source).unwrap().bytes, *b"two");
        let missing = files.find(&file("b.wasm", &[one.path()])).unwrap_err();
        assert!(missing.message.contains("no file b.wasm"), "{missing:?}");
    }

    #[test]
    fn a_link_stays_within_its_folder() {
        use std::os::unix::fs::symlink;

        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("a.wasm"), "other").unwrap();
        symlink(other.path().join("a.wasm"), one.path().join("out.wasm")).unwrap();
        let mut files = Files::default();
        let out = files.find(&file("out.wasm", &[one.path()])).unwrap_err();
        assert!(out.message.contains("leads out of"), "{out:?}");
        let up = file("../a.wasm", &[one.path()]);
        assert!(files.find(&up).is_err());
        // As volumes of ConfigMaps have them.
        fs::create_dir(one.path().join("..data")).unwrap();
        fs::write(one.path().join("..data/b.wasm"), "b").unwrap();
        symlink("..data/b.wasm", one.path().join("b.wasm")).unwrap();
        assert_eq!(
            *files.find(&file("b.wasm", &[one.path()])).unwrap().bytes,
            *b"b"
        );
    }
}
