//! Waiting for a change of the manifest folders.
//!
//! Each folder is watched by itself, and for every link and every part of the paths that were given
//! the folder in which it stands, so that a folder that is swapped by a rename or by a link is seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event};

use super::{SourceError, scan};

/// Tells when manifests change.
#[derive(Debug)]
pub struct Watch {
    paths: Vec<PathBuf>,
    sender: mpsc::Sender<Message>,
    state: Mutex<State>,
}

/// Has a [`Watch`] tell of a change that no file shows.
#[derive(Clone, Debug)]
pub struct Waker(mpsc::Sender<Message>);

/// What may end the wait.
#[derive(Debug)]
enum Message {
    Event(notify::Result<Event>),
    Wake,
}

#[derive(Debug)]
struct State {
    watched: Watched,
    events: mpsc::Receiver<Message>,
}

/// What is watched, for as long as it is.
#[derive(Debug)]
struct Watched {
    _watcher: RecommendedWatcher,
    places: Places,
}

/// What is watched, by paths without links.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    /// Folders whose every change counts.
    folders: BTreeSet<PathBuf>,
    /// Other folders, of which only these names count.
    names: BTreeMap<PathBuf, BTreeSet<OsString>>,
    /// Which folder is at each place: another one must be watched anew.
    identities: BTreeMap<PathBuf, Option<(u64, u64)>>,
}

impl Watch {
    pub(super) fn start(paths: &[PathBuf]) -> Result<Self, SourceError> {
        let (sender, events) = mpsc::channel();
        let watched = Watched::start(paths, &sender)?;
        Ok(Self {
            paths: paths.to_owned(),
            sender,
            state: Mutex::new(State { watched, events }),
        })
    }

    /// What ends a [`Self::wait`] from elsewhere.
    pub fn waker(&self) -> Waker {
        Waker(self.sender.clone())
    }

    /// Blocks until something changed, and then until nothing has for 5 ms, but at most 50 ms.
    pub fn wait(&self) {
        let mut state = self.lock();
        let mut structure = loop {
            match state.events.recv_timeout(LOOK) {
                Ok(message) => {
                    if let Some(change) = state.watched.places.judge(&message) {
                        break change;
                    }
                }
                // Some file systems tell nothing: look again from time to time.
                Err(_) => break Change::Structure,
            }
        };
        let end = Instant::now() + LONGEST;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let Ok(message) = state.events.recv_timeout(QUIET.min(left)) else {
                break;
            };
            let change = state.watched.places.judge(&message);
            structure = structure.max(change.unwrap_or(Change::Content));
        }
        if structure == Change::Structure && Places::find(&self.paths) != state.watched.places {
            // The new one watches before the old one ends, and the caller reads after both.
            if let Ok(new) = Watched::start(&self.paths, &self.sender) {
                state.watched = new;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// The content of files.
    Content,
    /// Perhaps the folders and links themselves.
    Structure,
}

impl Waker {
    /// Has the watch tell of a change; one that is gone needs none.
    pub fn wake(&self) {
        let _ = self.0.send(Message::Wake);
    }
}

impl Watched {
    fn start(paths: &[PathBuf], sender: &mpsc::Sender<Message>) -> Result<Self, SourceError> {
        let sender = sender.clone();
        let mut watcher = notify::recommended_watcher(move |event| {
            let _ = sender.send(Message::Event(event));
        })?;
        // Folders that appear while this goes on are found by the second look.
        let mut places = Places::default();
        for _ in 0..8 {
            let now = Places::find(paths);
            if now == places {
                break;
            }
            for (place, identity) in now
                .identities
                .iter()
                .filter(|(_, identity)| identity.is_some())
            {
                let watched = watcher.watch(place, RecursiveMode::NonRecursive);
                // It may be gone again, or a parent may be nobody's to read.
                if let Err(error) = watched
                    && now.folders.contains(place)
                    && place.exists()
                    && places.identities.get(place) != Some(identity)
                {
                    return Err(error.into());
                }
            }
            places = now;
        }
        Ok(Self {
            _watcher: watcher,
            places,
        })
    }
}

impl Places {
    fn find(paths: &[PathBuf]) -> Self {
        let scan = scan::scan(paths);
        let folders = scan
            .folders
            .iter()
            .filter_map(|path| std::fs::canonicalize(path).ok());
        let mut places = Self {
            folders: folders.collect(),
            ..Self::default()
        };
        for path in paths.iter().chain(&scan.links) {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            places.add_route(&absolute, MAX_LINKS);
        }
        let identity = |path: &PathBuf| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
        let all = places.folders.iter().chain(places.names.keys());
        places.identities = all.map(|path| (path.clone(), identity(path))).collect();
        places
    }

    /// Adds every step of a path, and of the links on it.
    fn add_route(&mut self, path: &Path, links: usize) {
        let mut at = PathBuf::new();
        for part in path.components() {
            match part {
                Component::RootDir | Component::Prefix(_) => at.push(part),
                Component::CurDir => {}
                Component::ParentDir => drop(at.pop()),
                Component::Normal(name) => {
                    let new = self
                        .names
                        .entry(at.clone())
                        .or_default()
                        .insert(name.to_owned());
                    let folder = at.clone();
                    at.push(name);
                    let Ok(target) = std::fs::read_link(&at) else {
                        continue;
                    };
                    if links > 0 && new {
                        self.add_route(&folder.join(&target), links - 1);
                    }
                    at = std::fs::canonicalize(&at).unwrap_or(at);
                }
            }
        }
    }

    /// Whether an event counts, and how.
    fn judge(&self, message: &Message) -> Option<Change> {
        let event = match message {
            Message::Wake => return Some(Change::Content),
            Message::Event(Err(_)) => return Some(Change::Structure),
            Message::Event(Ok(event)) => event,
        };
        if event.need_rescan() {
            return Some(Change::Structure);
        }
        let change = match event.kind {
            EventKind::Access(event::AccessKind::Close(event::AccessMode::Write)) => {
                Change::Content
            }
            EventKind::Access(_) => return None,
            EventKind::Modify(event::ModifyKind::Data(_)) => Change::Content,
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => Change::Structure,
        };
        let counts = |path: &PathBuf| {
            let parent = path.parent().unwrap_or(path);
            let named =
                |names: &BTreeSet<OsString>| path.file_name().is_some_and(|n| names.contains(n));
            self.folders.contains(path)
                || self.folders.contains(parent)
                || self.names.get(parent).is_some_and(named)
        };
        event.paths.iter().any(counts).then_some(change)
    }
}

const QUIET: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(50);
/// How often to look without being told of anything.
const LOOK: Duration = Duration::from_secs(60);
/// As many links in a row as Linux follows.
const MAX_LINKS: usize = 40;

#[cfg(test)]
mod tests;
