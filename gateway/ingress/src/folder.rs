//! The manifest source: folders and files of Kubernetes documents.
//!
//! What cannot be read or parsed keeps what it held before, and an object that the API server would
//! refuse keeps its previous version, until its file or document is deleted.

mod load;
mod scan;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    manifest::Key,
    objects::{Object, Objects},
    parallel,
    problem::{Problem, Severity, mark_last_good},
};
use load::{Loaded, load};
use scan::{Scan, Seen, Stamp};

pub use watch::{Waker, Watch};

/// Folders and files of manifests.
#[derive(Debug)]
pub struct Folder {
    paths: Vec<PathBuf>,
    /// Folders that are watched and not read.
    beside: Vec<PathBuf>,
    files: BTreeMap<Arc<OsStr>, File>,
    /// The files that hold each object, in path order; the first counts.
    owners: HashMap<Key, Vec<Arc<OsStr>>>,
    /// Objects that several files hold.
    shared: BTreeSet<Key>,
}

/// Why manifests cannot be read or watched at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A folder or file that is not there or not readable.
    #[error("the manifests at {} cannot be read: {source}; name a folder or file that can", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system does not watch.
    #[error(
        "the manifests cannot be watched: {0}; raise fs.inotify.max_user_watches if that is the limit"
    )]
    Watch(#[from] notify::Error),
}

/// What is known of one file.
#[derive(Debug)]
struct File {
    stamp: Stamp,
    read: SystemTime,
    hash: u64,
    held: BTreeMap<Key, Object>,
    problems: Vec<Problem>,
}

impl Folder {
    /// Makes sure that these folders and files can be read.
    pub fn open(paths: Vec<PathBuf>) -> Result<Self, SourceError> {
        for path in &paths {
            let readable = match std::fs::metadata(path) {
                Ok(meta) if meta.is_dir() => std::fs::read_dir(path).map(drop),
                Ok(meta) if meta.is_file() => std::fs::File::open(path).map(drop),
                Ok(_) => Err(io::Error::other("it is neither a folder nor a file")),
                Err(error) => Err(error),
            };
            readable.map_err(|source| SourceError::Unreadable {
                path: path.clone(),
                source,
            })?;
        }
        let (files, owners, shared) = (BTreeMap::new(), HashMap::new(), BTreeSet::new());
        Ok(Self {
            paths,
            beside: Vec::new(),
            files,
            owners,
            shared,
        })
    }

    /// Makes changes below this folder wake the [`Watch`], too: that of the operator's plugins. No
    /// manifests are read from it, and it need not be there yet.
    pub fn watch_also(&mut self, folder: &Path) {
        self.beside.push(folder.to_owned());
    }

    /// Starts to watch for changes; to miss none, start before the first [`Self::read`]. Every file of
    /// the folders counts, not manifests alone: code of plugins may lie among them.
    pub fn watch(&self) -> Result<Watch, SourceError> {
        let all = self.paths.iter().chain(&self.beside);
        Watch::start(&all.cloned().collect::<Vec<_>>())
    }

    /// Reads what changed since the last time into `objects`, always the same ones; gives the problems
    /// of all files and documents.
    pub fn read(&mut self, objects: &mut Objects) -> Vec<Problem> {
        let scan = scan::scan(&self.paths);

        // Load and parse what changed.
        let changed: Vec<_> = scan
            .files
            .iter()
            .filter(|(path, seen)| self.changed(path, seen))
            .collect();
        let loaded = parallel::map(&changed, |(path, seen)| {
            load(path, seen, self.files.get(path.as_ref()))
        });

        // Put it in the place of what the files held.
        let mut touched = BTreeSet::new();
        for loaded in loaded.into_iter().flatten() {
            self.replace(loaded, &scan, &mut touched);
        }

        // Forget the files that are gone, unless they are only out of sight.
        let hidden = |path: &Path| {
            scan.failures
                .iter()
                .any(|(failed, _)| path.starts_with(failed))
        };
        let gone = self
            .files
            .keys()
            .filter(|path| !scan.files.contains_key(*path) && !hidden(Path::new(path)));
        for path in gone.cloned().collect::<Vec<_>>() {
            if let Some(file) = self.files.remove(&path) {
                self.disown(&path, file.held.keys());
                touched.extend(file.held.into_keys());
            }
        }

        // Of one object in several files the first counts.
        for key in &touched {
            let owners = self.owners.get(key).map(Vec::as_slice).unwrap_or_default();
            let object = owners
                .first()
                .and_then(|path| self.files.get(path)?.held.get(key));
            match object {
                Some(object) => objects.apply(object.clone()),
                None => objects.delete(key.kind, &key.namespace, &key.name),
            }
            if owners.len() > 1 {
                self.shared.insert(key.clone());
            } else {
                self.shared.remove(key);
            }
        }
        let failures = scan
            .failures
            .into_iter()
            .map(|(path, reason)| self.unreadable(&path, &reason));
        let mut problems: Vec<Problem> = failures.collect();
        problems.extend(
            self.files
                .values()
                .flat_map(|file| file.problems.iter().cloned()),
        );
        problems.extend(self.shared.iter().flat_map(|key| self.shadowed(key)));
        problems.sort_by(Problem::order);
        problems
    }

    fn changed(&self, path: &OsStr, seen: &Seen) -> bool {
        // A file that was read right after it was written may have been written again since, without
        // its times telling.
        self.files
            .get(path)
            .is_none_or(|file| file.stamp != seen.stamp || seen.stamp.modified() + RACY > file.read)
    }

    /// Takes over the new contents of a file.
    fn replace(&mut self, loaded: Loaded, scan: &Scan, touched: &mut BTreeSet<Key>) {
        let Loaded {
            path,
            stamp,
            read,
            hash,
            contents,
        } = loaded;
        let Some(contents) = contents else {
            if let Some(file) = self.files.get_mut(&path) {
                (file.stamp, file.read) = (stamp, read);
            }
            return;
        };
        let old = self.files.remove(&path);
        let mut before = old.map(|file| file.held).unwrap_or_default();
        self.disown(&path, before.keys());
        touched.extend(before.keys().cloned());

        let mut held: BTreeMap<Key, Object> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut problems = Vec::new();
        for found in contents.found {
            if !found.key.name.is_empty() && !seen.insert(found.key.clone()) {
                let message = format!(
                    "{} stands twice in this file; the first counts",
                    found.subject
                );
                let hint = "take one out";
                problems.push(found.subject.problem(
                    Severity::Warning,
                    "metadata.name",
                    message,
                    hint,
                ));
                continue;
            }
            let mut last = || {
                before
                    .remove(&found.key)
                    .or_else(|| self.moved(&found.key, scan))
            };
            let mut own = found.problems;
            let object = match found.object {
                Some(object) => Some(object),
                None => last().inspect(|_| mark_last_good(&mut own)),
            };
            held.extend(object.map(|object| (found.key, object)));
            problems.append(&mut own);
        }

        // A document that is broken may be any of those that are missing.
        let mut failures = contents.failures;
        if !failures.is_empty() {
            before.retain(|key, _| !seen.contains(key));
            if !before.is_empty() {
                mark_last_good(&mut failures);
            }
            held.append(&mut before);
        }
        problems.append(&mut failures);

        touched.extend(held.keys().cloned());
        for key in held.keys() {
            let owners = self.owners.entry(key.clone()).or_default();
            if let Err(at) = owners.binary_search(&path) {
                owners.insert(at, path.clone());
            }
        }
        self.files.insert(
            path,
            File {
                stamp,
                read,
                hash,
                held,
                problems,
            },
        );
    }

    /// The object under a key that a file held which is no longer there.
    fn moved(&self, key: &Key, scan: &Scan) -> Option<Object> {
        let owner = self
            .owners
            .get(key)?
            .first()
            .filter(|path| !scan.files.contains_key(*path))?;
        self.files.get(owner)?.held.get(key).cloned()
    }

    fn disown<'a>(&mut self, path: &Arc<OsStr>, keys: impl Iterator<Item = &'a Key>) {
        for key in keys {
            let Some(owners) = self.owners.get_mut(key) else {
                continue;
            };
            owners.retain(|owner| owner != path);
            if owners.is_empty() {
                self.owners.remove(key);
            }
        }
    }

    fn shadowed(&self, key: &Key) -> Vec<Problem> {
        let owners = self.owners.get(key).map(Vec::as_slice).unwrap_or_default();
        let mut subjects = owners
            .iter()
            .filter_map(|path| Some(self.files.get(path)?.held.get(key)?.subject()));
        let Some(first) = subjects.next() else {
            return Vec::new();
        };
        let place = first.place("");
        let problem = |subject: &crate::problem::Subject| {
            let message = format!("another file has this object too, and counts: {place}");
            subject.problem(
                Severity::Warning,
                "metadata.name",
                message,
                "take one out, or rename it",
            )
        };
        subjects.map(problem).collect()
    }

    fn unreadable(&self, path: &Path, reason: &str) -> Problem {
        let message = format!("cannot be read: {reason}");
        let file = path.to_string_lossy();
        let mut problem =
            Problem::of_document(&file, 1, message, "make it readable, or take it away");
        if self
            .files
            .keys()
            .any(|known| Path::new(known).starts_with(path))
        {
            mark_last_good(std::slice::from_mut(&mut problem));
        }
        problem
    }
}

/// How coarse the times of a file system may be.
const RACY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
