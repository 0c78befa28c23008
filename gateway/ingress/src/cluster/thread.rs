//! The thread of the watches: it starts and ends them as it is told.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, mpsc},
};

use futures_util::FutureExt;
use tokio::{sync::mpsc as orders, task::AbortHandle, time::sleep};

use super::{
    kinds::{Run, Target},
    pace::Pace,
    seen::Seen,
    server::Server,
    watch::{Health, Message, Watch},
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
                        let watch = keep(self.watch(target.clone()), row.run);
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

/// Runs a watch for ever. One that panics, which is a defect, says so and begins anew.
async fn keep(watch: Watch, run: Run) {
    let mut pace = Pace::default();
    loop {
        if AssertUnwindSafe(run(watch.clone()))
            .catch_unwind()
            .await
            .is_err()
        {
            let reason = "a defect of this gateway, see its log".to_owned();
            watch.tell(Message::Health(
                watch.target.clone(),
                Health::Failing(reason),
            ));
        }
        sleep(pace.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use kube::Config;

    use super::*;
    use crate::objects::Kind;

    static RUNS: AtomicUsize = AtomicUsize::new(0);

    fn panics_once(watch: Watch) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            assert!(RUNS.fetch_add(1, Ordering::Relaxed) > 0, "a defect");
            let up = Message::Health(watch.target.clone(), Health::Up);
            watch.tell(up);
            std::future::pending::<()>().await;
        })
    }

    #[tokio::test]
    async fn a_watch_that_panics_is_told_and_begins_anew() {
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        let (messages, told) = mpsc::channel();
        let watch = Watch {
            server: Server::new(config, Duration::from_secs(1)).unwrap(),
            target: Target::named(Kind::Secret, ("a".to_owned(), "s".to_owned())),
            messages,
            seen: Arc::default(),
        };
        let kept = tokio::spawn(keep(watch, panics_once));
        let told = tokio::task::spawn_blocking(move || [told.recv(), told.recv()]);
        let told = told.await.unwrap().map(|message| match message {
            Ok(Message::Health(_, health)) => health,
            other => panic!("{other:?}"),
        });
        let [Health::Failing(reason), Health::Up] = told else {
            panic!("{told:?}");
        };
        assert!(reason.contains("a defect"), "{reason}");
        kept.abort();
    }
}
