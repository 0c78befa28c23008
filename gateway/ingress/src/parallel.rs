//! Work on several threads, where there is much of it.

use std::thread;

/// Maps many items on several threads, few on this one.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    if items.len() < MANY || threads == 1 {
        return items.iter().map(f).collect();
    }
    let work = &|part: &[T]| part.iter().map(&f).collect::<Vec<R>>();
    thread::scope(|scope| {
        let start = |part| {
            // Where the system gives no thread, the work is done here.
            let started = thread::Builder::new().spawn_scoped(scope, move || work(part));
            started.map_err(|_| work(part))
        };
        let parts: Vec<_> = items
            .chunks(items.len().div_ceil(threads))
            .map(start)
            .collect();
        let result = |part: Result<thread::ScopedJoinHandle<'_, Vec<R>>, Vec<R>>| match part {
            Ok(handle) => handle.join().unwrap_or_default(),
            Err(done) => done,
        };
        parts.into_iter().flat_map(result).collect()
    })
}

/// From how many items on a thread is worth its start.
const MANY: usize = 64;
const MAX_THREADS: usize = 8;
