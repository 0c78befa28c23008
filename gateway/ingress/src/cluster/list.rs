//! Lists: streamed, or in pages.

use std::time::Duration;

use futures_util::StreamExt;
use kube::{Api, api::ListParams, core::WatchEvent};
use tokio::time::timeout;

use super::{
    item::{Item, Watched},
    trouble::Trouble,
    watch::{Events, Message, Watch, is_past},
};

impl Watch {
    /// Lists by a watch that begins with all objects, and goes on with their changes.
    pub(super) async fn streamed<T: Watched>(
        &self,
        api: &Api<Item<T>>,
        version: &mut Option<String>,
    ) -> Result<Events<T>, Trouble> {
        let mut events = self.open(api, &self.parameters(true), "0").await?;
        let mut all = Vec::new();
        loop {
            // A server that does not know the way takes it for a plain watch, whose list never ends.
            let next = timeout(self.server.patience.min(STALLED), events.next()).await;
            match next.map_err(|_| Trouble::Unsupported)? {
                Some(Ok(WatchEvent::Added(item) | WatchEvent::Modified(item))) => all.push(item),
                Some(Ok(WatchEvent::Deleted(item))) => {
                    all.retain(|other: &Item<T>| other.found.key != item.found.key);
                }
                Some(Ok(WatchEvent::Bookmark(mark))) => {
                    if mark.metadata.annotations.contains_key(END) {
                        *version = Some(mark.metadata.resource_version);
                        self.reset(all);
                        return Ok(events);
                    }
                }
                Some(Ok(WatchEvent::Error(status))) => return Err(Trouble::of_status(&status)),
                Some(Err(error)) => return Err(Trouble::of(&error)),
                None => return Err(Trouble::Ended),
            }
        }
    }

    /// Lists page by page.
    pub(super) async fn paged<T: Watched>(
        &self,
        api: &Api<Item<T>>,
        page: Option<u32>,
    ) -> Result<String, Trouble> {
        let mut parameters = ListParams {
            field_selector: self.target.fields(),
            limit: page,
            ..ListParams::default()
        };
        let mut all = Vec::new();
        loop {
            let listed = self.server.answer(api.list(&parameters)).await;
            let list = listed.map_err(|error| Trouble::of(&error))?;
            all.extend(list.items);
            let more = list.metadata.continue_.filter(|token| !token.is_empty());
            if more.is_none() {
                let version = list.metadata.resource_version.unwrap_or_default();
                self.reset(all);
                return Ok(version);
            }
            parameters.continue_token = more;
        }
    }

    /// Whether a server that was away has come back with older data: a watch would wait in silence for
    /// versions that were there already.
    pub(super) async fn is_set_back<T: Watched>(
        &self,
        api: &Api<Item<T>>,
        version: Option<&str>,
    ) -> Result<bool, Trouble> {
        let parameters = ListParams {
            field_selector: self.target.fields(),
            limit: Some(1),
            ..ListParams::default()
        };
        match self.server.answer(api.list(&parameters)).await {
            Ok(list) => Ok(is_past(version, list.metadata.resource_version.as_deref())),
            // Of what the server has to say, the watch tells.
            Err(kube::Error::Api(_)) => Ok(false),
            Err(error) => Err(Trouble::of(&error)),
        }
    }

    fn reset<T>(&self, items: Vec<Item<T>>) {
        let mut all = Vec::with_capacity(items.len());
        let mut facts = Vec::new();
        for Item {
            found, facts: own, ..
        } in items
        {
            facts.extend(own.map(|own| (found.key.clone(), own)));
            all.push(found);
        }
        self.tell(Message::Reset(self.target.clone(), all));
        self.seen.reset(&self.target, facts);
    }
}

/// The annotation of the bookmark after the last object.
const END: &str = "k8s.io/initial-events-end";
/// How long a streamed list may pause.
const STALLED: Duration = Duration::from_secs(20);
