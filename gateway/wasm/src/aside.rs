//! Threads for calls that take their time: they run behind the workers, so that a filter that
//! computes or waits never holds up what others do.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use proxy::filter::Exchange;
use tokio::sync::{
    mpsc::{self, UnboundedReceiver, UnboundedSender},
    oneshot,
};

use crate::{
    attachment::Attachment,
    failure::Failure,
    filter::{Ask, Ran, run},
    instance::{Instance, Place},
};

/// The threads, and how much runs on them.
#[derive(Debug)]
pub(crate) struct Aside {
    lanes: Vec<Lane>,
    running: Running,
}

#[derive(Debug)]
struct Lane {
    jobs: UnboundedSender<Job>,
    load: Running,
}

/// It begins on the thread where it then stays.
type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

impl Aside {
    /// Starts the threads. They end with the last reference to this.
    pub(crate) fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let lanes = (0..(cores / 2).max(1)).map(|number| {
            let (jobs, queue) = mpsc::unbounded_channel();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                // They look up names.
                .max_blocking_threads(8)
                .build()?;
            thread::Builder::new()
                .name(format!("wasm-aside-{number}"))
                .spawn(move || work(&runtime, queue))?;
            Ok(Lane {
                jobs,
                load: Running::default(),
            })
        });
        Ok(Self {
            lanes: lanes.collect::<io::Result<_>>()?,
            running: Running::default(),
        })
    }

    /// Room for one more call, if there is.
    pub(crate) fn admit(&self, attachment: &Attachment) -> Result<Admitted, Failure> {
        let of_all = self.running.enter(MOST);
        let of_one = attachment.plugin().running().enter(MOST_OF_ONE);
        match (of_all, of_one) {
            (Some(_of_all), Some(_of_one)) => Ok(Admitted { _of_all, _of_one }),
            (_, None) | (None, _) => Err(Failure::Memory {
                what: "too many calls run already".to_owned(),
            }),
        }
    }

    /// Calls a hook there. Whoever drops this ends the call, and its instance.
    pub(crate) async fn run<A: Ask>(
        &self,
        admitted: Admitted,
        ask: A,
        attachment: Arc<Attachment>,
        exchange: Box<Exchange>,
        spare: Option<Box<Instance>>,
    ) -> Ran<A::Verdict> {
        let lane = self.lanes.iter().min_by_key(|lane| lane.load.now());
        let Some(lane) = lane else {
            return std::future::pending().await;
        };
        let load = lane.load.enter(usize::MAX);
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || {
            Box::pin(async move {
                let _admitted = (admitted, load);
                let mut answer = answer;
                let ran = run(ask, &attachment, exchange, spare, Place::Aside);
                let ran = tokio::select! {
                    biased;
                    // Nobody waits for it any more.
                    () = answer.closed() => return,
                    ran = ran => ran,
                };
                drop(answer.send(ran));
            })
        });
        // The threads end after this, and a job answers unless it is dropped by this very future.
        if lane.jobs.send(job).is_ok()
            && let Ok(ran) = answered.await
        {
            return ran;
        }
        tracing::error!("a thread for plugins that take their time is gone");
        std::future::pending().await
    }
}

/// What a thread does, until nobody can give it work any more.
fn work(runtime: &tokio::runtime::Runtime, mut queue: UnboundedReceiver<Job>) {
    // On Linux this is the thread's alone. Workers come first, and it gets what they leave.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "plugins that take their time run with the priority of workers");
    }
    let jobs = tokio::task::LocalSet::new();
    jobs.block_on(runtime, async {
        while let Some(job) = queue.recv().await {
            tokio::task::spawn_local(job());
        }
    });
}

/// Room for a call, while it runs.
#[derive(Debug)]
pub(crate) struct Admitted {
    _of_all: Permit,
    _of_one: Permit,
}

/// How many calls run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<AtomicUsize>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Permit(Running);

impl Running {
    /// One more, unless there are so many.
    pub(crate) fn enter(&self, most: usize) -> Option<Permit> {
        let entered = self.0.fetch_add(1, Ordering::Relaxed) < most;
        let permit = Permit(self.clone());
        entered.then_some(permit)
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many calls run at once.
const MOST: usize = 256;
/// How many of them are of one plugin.
const MOST_OF_ONE: usize = 64;
/// How far behind the workers.
const NICE: i32 = 10;
