//! What buckets let through, with a clock of the tests.

use super::*;

fn rule(tokens: u32, per_ms: u32, burst: u32) -> Rule {
    Rule::from(WitRule {
        tokens,
        per_ms,
        burst,
    })
}

fn bucket(rules: &[Rule]) -> Bucket {
    Bucket::new(rules.to_vec())
}

#[test]
fn from_idle_exactly_the_burst_passes_at_once_then_the_rate() {
    let (bucket, start) = (bucket(&[rule(10, 1000, 20)]), Instant::now());
    let passed = (0..100).filter(|_| bucket.take("a", 1, start).allowed);
    assert_eq!(passed.count(), 20);
    let refused = bucket.take("a", 1, start);
    assert_eq!((refused.limit, refused.remaining), (20, 0));
    assert_eq!(refused.retry_after_ms, 100);
    let early = start + Duration::from_millis(99);
    assert!(!bucket.take("a", 1, early).allowed);
    let later = start + Duration::from_millis(1099);
    let passed = (0..100).filter(|_| bucket.take("a", 1, later).allowed);
    assert_eq!(passed.count(), 10);
}

#[test]
fn keys_do_not_share_tokens() {
    let (bucket, now) = (bucket(&[rule(1, 60_000, 1)]), Instant::now());
    assert!(bucket.take("a", 1, now).allowed);
    assert!(bucket.take("b", 1, now).allowed);
    assert!(!bucket.take("a", 1, now).allowed);
}

#[test]
fn of_several_rules_none_is_charged_unless_all_pass() {
    let rules = [rule(1, 1000, 5), rule(1, 60_000, 2)];
    let (bucket, start) = (bucket(&rules), Instant::now());
    let first = bucket.take("a", 1, start);
    assert_eq!(
        (first.limit, first.remaining),
        (2, 1),
        "the nearest to its end"
    );
    assert!(bucket.take("a", 1, start).allowed);
    for _ in 0..10 {
        let refused = bucket.take("a", 1, start);
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after_ms, 60_000);
    }
    // Had refusals been charged, the first rule would be empty now.
    bucket.set_rules(vec![rules[0]]);
    let left = bucket.take("a", 1, start);
    assert_eq!((left.allowed, left.remaining), (true, 2));
}

#[test]
fn more_than_a_bucket_holds_never_passes() {
    let (bucket, now) = (bucket(&[rule(1, 1, 3)]), Instant::now());
    let refused = bucket.take("a", 4, now);
    assert!(!refused.allowed);
    assert_eq!(refused.retry_after_ms, u32::MAX);
    assert!(bucket.take("a", 3, now).allowed, "it was not charged");
}

#[test]
fn a_clock_that_stands_still_or_goes_back_gives_no_tokens() {
    let (bucket, start) = (bucket(&[rule(1, 1000, 1)]), Instant::now());
    let later = start + Duration::from_secs(5);
    assert!(bucket.take("a", 1, later).allowed);
    assert!(!bucket.take("a", 1, start).allowed);
    assert!(!bucket.take("a", 1, later).allowed);
}

#[test]
fn a_part_without_keys_takes_no_memory() {
    let (bucket, now) = (bucket(&[rule(1, 1000, 1)]), Instant::now());
    for _ in 0..100 {
        bucket.take("a", 1, now);
    }
    let used = bucket.parts.iter().filter(|part| part.get().is_some());
    assert_eq!(used.count(), 1);
}

#[test]
fn at_most_100_000_keys_stay_and_idle_ones_leave_first() {
    let (bucket, now) = (bucket(&[rule(1, 60_000, 1)]), Instant::now());
    for number in 0..250_000 {
        assert!(bucket.take(number.to_string().as_str(), 1, now).allowed);
        if number % 10_000 == 0 {
            bucket.take("busy", 1, now);
        }
    }
    assert!(!bucket.take("busy", 1, now).allowed);
    let number = |part: &OnceLock<Box<Mutex<Keys>>>| {
        let keys = part.get().unwrap().lock().unwrap();
        keys.young.len() + keys.old.len()
    };
    let keys: usize = bucket.parts.iter().map(number).sum();
    assert!((50_000..=100_000).contains(&keys), "{keys}");
}
