//! The thread of the watches: it starts and ends them as it is told.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
};

use tokio::{sync::mpsc as orders, task::AbortHandle};

use super::{
    kinds::Target,
    seen::Seen,
    server::Server,
    watch::{Message, Watch},
};

/// What the thread of the watches is told.
#[derive(Debug)]
pub(super) enum Order {
    Watch(Target),
    End(Target),
}

/// What runs on the thread.
pub(super) struct Watches {
    pub(super) server: Server,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) seen: Arc<Seen>,
}

impl Watches {
    pub(super) async fn run(self, mut orders: orders::UnboundedReceiver<Order>) {
        let mut running: HashMap<Target, AbortHandle> = HashMap::new();
        while let Some(order) = orders.recv().await {
            match order {
                Order::Watch(target) => {
                    if let Some(row) = target.row() {
                        let watch = (row.run)(self.watch(target.clone()));
                        running.insert(target, tokio::spawn(watch).abort_handle());
                    }
                }
                Order::End(target) => {
                    if let Some(watch) = running.remove(&target) {
                        watch.abort();
                    }
                }
            }
        }
    }

    fn watch(&self, target: Target) -> Watch {
        Watch {
            server: self.server.clone(),
            target,
            messages: self.messages.clone(),
            seen: Arc::clone(&self.seen),
        }
    }
}
