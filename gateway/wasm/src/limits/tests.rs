//! What the limiter refuses and when a deadline passes.

use super::*;

#[test]
fn memory_counts_over_all_memories_of_an_instance() {
    let mut limiter = Limiter::new(100);
    assert!(limiter.memory_growing(0, 60, None).unwrap());
    assert!(limiter.is_bloated());
    assert!(limiter.memory_growing(60, 80, None).unwrap());
    assert!(!limiter.memory_growing(80, 90, Some(85)).unwrap());
    assert_eq!(limiter.exceeded(), None);
    assert!(limiter.memory_growing(0, 30, None).is_err());
    assert_eq!(limiter.exceeded(), Some(Exceeded::Memory));
}

#[test]
fn a_table_stays_below_its_limit() {
    let mut limiter = Limiter::new(100);
    assert!(limiter.table_growing(0, TABLE, None).unwrap());
    assert!(limiter.table_growing(TABLE, TABLE + 1, None).is_err());
    assert_eq!(limiter.exceeded(), Some(Exceeded::Table));
}

#[test]
fn only_time_on_the_cpu_counts() {
    let mut deadline = Deadline::default();
    deadline.arm(Duration::from_millis(20), Pace::Straight);
    assert!(matches!(deadline.check(), UpdateDeadline::Continue(1)));
    std::thread::sleep(Duration::from_millis(40));
    assert!(matches!(deadline.check(), UpdateDeadline::Continue(1)));
    while matches!(deadline.check(), UpdateDeadline::Continue(_)) {}
    assert!(deadline.passed());
    deadline.arm(Duration::from_millis(20), Pace::Straight);
    assert!(!deadline.passed());
}

#[test]
fn what_others_spend_on_the_thread_does_not_count() {
    let mut deadline = Deadline::default();
    let spend = || {
        let start = cpu_time();
        while cpu_time() - start < Duration::from_millis(15) {}
    };
    deadline.arm(Duration::from_millis(20), Pace::Yielding);
    resume();
    spend();
    assert!(matches!(deadline.check(), UpdateDeadline::Yield(1)));
    spend();
    resume();
    assert!(matches!(deadline.check(), UpdateDeadline::Yield(1)));
    spend();
    assert!(matches!(deadline.check(), UpdateDeadline::Interrupt));
    assert!(deadline.passed());
}
