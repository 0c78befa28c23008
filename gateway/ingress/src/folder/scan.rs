//! The files of the manifest folders, and whether they changed.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    fs::{DirEntry, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{manifest::Format, parallel};

/// A file that was seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) stamp: Stamp,
    pub(super) format: Format,
}

/// What tells a changed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            identity: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// When the file last changed in any way.
    pub(super) fn modified(&self) -> SystemTime {
        let seconds = self.changed.0.max(self.modified.0);
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }
}

/// All files in path order, and what could not be looked into, with the reason.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) files: BTreeMap<Arc<OsStr>, Seen>,
    pub(super) failures: Vec<(PathBuf, String)>,
    /// Every folder that was looked into.
    pub(super) folders: Vec<PathBuf>,
    /// Every symbolic link that was followed.
    pub(super) links: Vec<PathBuf>,
    visited: HashSet<(u64, u64)>,
}

/// Looks through folders and their sub-folders; what is named itself counts under any name.
pub(super) fn scan(paths: &[PathBuf]) -> Scan {
    let mut scan = Scan::default();
    for path in paths {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => scan.folder(path, &meta),
            Ok(meta) if !meta.is_file() => {}
            Ok(meta) => {
                let format = format_of(path).unwrap_or(Format::Yaml);
                scan.file(path, &meta, format);
            }
            Err(error) => scan.failures.push((path.clone(), error.to_string())),
        }
    }
    scan
}

impl Scan {
    fn folder(&mut self, path: &Path, meta: &Metadata) {
        // Each folder once: links may lead in circles.
        let identity = (meta.dev(), meta.ino());
        if !self.visited.insert(identity) {
            return;
        }
        self.folders.push(path.to_owned());
        let mut entries: Vec<_> = match std::fs::read_dir(path) {
            Ok(entries) => entries.flatten().collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.failures.push((path.to_owned(), error.to_string())),
        };
        entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
        entries.sort_by_cached_key(DirEntry::file_name);
        // To ask for the state of thousands of files takes most of the time of a look.
        for found in parallel::map(&entries, look).into_iter().flatten() {
            self.add(found);
        }
    }

    fn add(&mut self, found: Found) {
        let Found {
            path,
            link,
            meta,
            format,
        } = found;
        if link {
            self.links.push(path.clone());
        }
        match (meta, format) {
            (Ok(meta), _) if meta.is_dir() => self.folder(&path, &meta),
            (Ok(meta), Some(format)) if meta.is_file() => self.file(&path, &meta, format),
            // A file may go at any time; a link that leads nowhere is worth a word.
            (Err(error), Some(_)) if link || error.kind() != io::ErrorKind::NotFound => {
                self.failures.push((path, error.to_string()));
            }
            (Ok(_) | Err(_), _) => {}
        }
    }

    fn file(&mut self, path: &Path, meta: &Metadata, format: Format) {
        let stamp = Stamp::of(meta);
        // One file under two names is still one.
        if self.visited.insert(stamp.identity) {
            self.files
                .insert(path.as_os_str().into(), Seen { stamp, format });
        }
    }
}

/// What a folder has under a name.
struct Found {
    path: PathBuf,
    link: bool,
    meta: io::Result<Metadata>,
    format: Option<Format>,
}

/// Looks at an entry of a folder; `None` for files that are no manifests.
fn look(entry: &DirEntry) -> Option<Found> {
    let path = entry.path();
    let kind = entry.file_type().ok();
    let format = format_of(&path);
    if kind.is_some_and(|k| k.is_file()) && format.is_none() {
        return None;
    }
    let link = kind.is_some_and(|k| k.is_symlink());
    let meta = std::fs::metadata(&path);
    Some(Found {
        path,
        link,
        meta,
        format,
    })
}

fn format_of(path: &Path) -> Option<Format> {
    let extension = path.extension()?;
    if extension == "yaml" || extension == "yml" {
        Some(Format::Yaml)
    } else {
        (extension == "json").then_some(Format::Json)
    }
}
