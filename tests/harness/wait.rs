//! Waiting for conditions, always with a deadline: the one place that lets time pass.

use std::time::{Duration, Instant};

/// How long a test waits for what should happen at once; long, as machines may be busy.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Awaits `future`, or fails the test with what it waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_time(DEADLINE, what, future).await
}

/// As [`within`], with a deadline of its own.
pub async fn within_time<T>(deadline: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(deadline, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {deadline:?} for {what}"),
    }
}

/// Polls `condition` until it holds, or fails the test with what it waited for.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(
            started.elapsed() < DEADLINE,
            "waited {DEADLINE:?} until {what}"
        );
        pause(Duration::from_millis(10)).await;
    }
}

/// Lets time pass where time itself is what is tested: between two drips, before an idle limit.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
