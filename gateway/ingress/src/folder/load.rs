//! Reading and parsing files, many at once.

use std::{
    ffi::OsStr,
    hash::{DefaultHasher, Hasher},
    io::{self, Read},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use crate::{
    manifest::{self, Contents},
    problem::Problem,
};

use super::{
    File,
    scan::{Seen, Stamp},
};

/// The new text of a file, or why there is none.
pub(super) struct Loaded {
    pub(super) path: Arc<OsStr>,
    pub(super) stamp: Stamp,
    pub(super) read: SystemTime,
    pub(super) hash: u64,
    /// `None` if the text is what it was.
    pub(super) contents: Option<Contents>,
}

/// Reads and parses a file; `None` if it is gone.
pub(super) fn load(path: &Arc<OsStr>, seen: &Seen, old: Option<&File>) -> Option<Loaded> {
    let read = SystemTime::now();
    let name: Arc<str> = path.to_string_lossy().into();
    let mut bytes = contents_of(Path::new(path));
    // A file that is being rewritten is empty for a moment.
    for _ in 0..3 {
        if !bytes.as_ref().is_ok_and(Vec::is_empty) || old.is_none_or(|file| file.held.is_empty()) {
            break;
        }
        thread::sleep(Duration::from_millis(4));
        bytes = contents_of(Path::new(path));
    }
    let mut hasher = DefaultHasher::new();
    let contents = match bytes {
        Ok(bytes) => {
            hasher.write(&bytes);
            let same = old.is_some_and(|file| file.hash == hasher.finish());
            (!same).then(|| manifest::read(&name, &bytes, seen.format))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            hasher.write(b"unreadable");
            let hint = "make it a readable text file of at most 16 MiB";
            let message = format!("the file cannot be read: {error}");
            let failures = vec![Problem::of_document(&name, 1, message, hint)];
            Some(Contents {
                failures,
                ..Contents::default()
            })
        }
    };
    let (path, stamp, hash) = (path.clone(), seen.stamp, hasher.finish());
    Some(Loaded {
        path,
        stamp,
        read,
        hash,
        contents,
    })
}

fn contents_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > MAX_FILE) {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    Ok(bytes)
}

const MAX_FILE: u64 = 16 << 20;
