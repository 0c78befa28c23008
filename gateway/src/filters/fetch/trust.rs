//! Whose servers are believed: those of the operator's CAs too, as their file is now.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use wasm::{Callouts, Fetching, Roots};

/// What sends requests for code.
pub(super) struct Trust {
    /// What reaches as much as plugins do.
    usual: Arc<Callouts>,
    settings: Fetching,
    known: Mutex<Known>,
}

/// What the file was when it was read last, and what came of it.
struct Known {
    file: Result<Vec<u8>, String>,
    callouts: Arc<Callouts>,
}

impl Trust {
    /// An error says why nothing can be asked for by TLS.
    pub(super) fn new(usual: Arc<Callouts>, settings: Fetching) -> Result<Self, String> {
        let file = settings.ca.as_deref().map_or(Ok(Vec::new()), read);
        let roots = file.as_deref().ok().map(Roots::besides);
        let roots = roots.and_then(Result::ok).unwrap_or_default();
        let callouts = usual.sibling(settings.loopback, &roots);
        let callouts = Arc::new(callouts.map_err(|error| error.to_string())?);
        Ok(Self {
            usual,
            settings,
            known: Mutex::new(Known { file, callouts }),
        })
    }

    /// What sends requests now. A file that has become useless leaves what was.
    pub(super) fn callouts(&self) -> Arc<Callouts> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = &self.settings.ca else {
            return Arc::clone(&known.callouts);
        };
        let file = read(path);
        if known.file != file {
            let made = file.clone().and_then(|pem| {
                let roots = Roots::besides(&pem).map_err(|error| error.to_string())?;
                let made = self.usual.sibling(self.settings.loopback, &roots);
                made.map_err(|error| error.to_string())
            });
            let file = &path.display();
            match made {
                Ok(callouts) => {
                    tracing::info!(%file, "the CAs of --fetch-ca were read anew");
                    known.callouts = Arc::new(callouts);
                }
                Err(error) => {
                    tracing::warn!(%file, error, "the CAs of --fetch-ca stay as they were");
                }
            }
        }
        known.file = file;
        Arc::clone(&known.callouts)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}
