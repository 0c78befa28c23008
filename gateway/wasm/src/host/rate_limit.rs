//! Token buckets and permits, shared by all workers.

mod bucket;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use foldhash::fast::RandomState;
use wasmtime::{Error, Result, component::Resource};

pub(super) use bucket::Bucket;

use super::{BucketHandle, Guest, Phase, RequestHandle, wit};
use bucket::{Key, Rule};
use wit::rate_limit::{Decision, Rule as WitRule};

/// The buckets and permits of one item of one Ingress's chain.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
    permits: Arc<Permits>,
}

#[derive(Debug, Default)]
struct Permits(Mutex<HashMap<String, u32, RandomState>>);

/// A permit; it returns when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    of: Arc<Permits>,
    key: String,
}

impl Rates {
    fn open(&self, name: String, rules: Vec<Rule>) -> std::result::Result<Arc<Bucket>, String> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(&name) {
            bucket.set_rules(rules);
            return Ok(Arc::clone(bucket));
        }
        if buckets.len() == BUCKETS {
            return Err(format!("a filter has at most {BUCKETS} buckets"));
        }
        let bucket = Arc::new(Bucket::new(rules));
        buckets.insert(name, Arc::clone(&bucket));
        Ok(bucket)
    }

    fn acquire(&self, key: String, max: u32) -> Option<Permit> {
        let mut taken = self
            .permits
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&key) {
            Some(number) if *number >= max => return None,
            Some(number) => *number += 1,
            None if max == 0 => return None,
            None => {
                taken.insert(key.clone(), 1);
            }
        }
        drop(taken);
        let of = Arc::clone(&self.permits);
        Some(Permit { of, key })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = taken.get_mut(&self.key) {
            *number -= 1;
            if *number == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

impl wit::rate_limit::Host for Guest {
    fn acquire(&mut self, key: String, max: u32) -> Result<bool> {
        let rates = Arc::clone(self.acting()?.rates());
        if self.phase != Phase::Request {
            return Err(self.stop("`acquire` is for request hooks"));
        }
        if key.len() > KEY {
            return Err(self.stop("a key of `acquire` has at most 1 KiB"));
        }
        let permit = rates.acquire(key, max);
        let acquired = permit.is_some();
        if let (Some(exchange), Some(permit)) = (&mut self.exchange, permit) {
            exchange.hold(Box::new(permit));
        }
        Ok(acquired)
    }
}

impl wit::rate_limit::HostBucket for Guest {
    fn open(
        &mut self,
        name: String,
        rules: Vec<WitRule>,
    ) -> Result<std::result::Result<Resource<BucketHandle>, String>> {
        let rates = Arc::clone(self.acting()?.rates());
        if name.len() > KEY || rules.is_empty() || rules.len() > 8 {
            return Ok(Err(
                "a bucket has a name of at most 1 KiB and 1 to 8 rules".to_owned()
            ));
        }
        let zero = |rule: &WitRule| rule.tokens == 0 || rule.per_ms == 0 || rule.burst == 0;
        if rules.iter().any(zero) {
            return Ok(Err(
                "`tokens`, `per-ms` and `burst` are at least 1".to_owned()
            ));
        }
        let rules = rules.into_iter().map(Rule::from).collect();
        let bucket = match rates.open(name, rules) {
            Ok(bucket) => bucket,
            Err(why) => return Ok(Err(why)),
        };
        let free = self.buckets.iter().position(Option::is_none);
        let index = free.unwrap_or(self.buckets.len());
        if index == HANDLES {
            return Err(self.stop("an instance holds at most 1024 buckets: drop them"));
        }
        match self.buckets.get_mut(index) {
            Some(slot) => *slot = Some(bucket),
            None => self.buckets.push(Some(bucket)),
        }
        let rep = u32::try_from(index).unwrap_or(u32::MAX);
        Ok(Ok(Resource::new_own(rep)))
    }

    fn take(
        &mut self,
        handle: Resource<BucketHandle>,
        key: String,
        tokens: u32,
    ) -> Result<Decision> {
        self.acting()?;
        if key.len() > KEY {
            return Err(self.stop("a key of `take` has at most 1 KiB"));
        }
        take(self, &handle, Key::Text(&key), tokens)
    }

    fn take_client(
        &mut self,
        handle: Resource<BucketHandle>,
        request: Resource<RequestHandle>,
        ipv6_prefix: u8,
        tokens: u32,
    ) -> Result<Decision> {
        let client = self.request(&request)?.0.facts.client;
        take(self, &handle, self::client(client, ipv6_prefix), tokens)
    }

    fn take_clients(
        &mut self,
        handle: Resource<BucketHandle>,
        ipv6_prefix: u8,
        number: u32,
    ) -> Result<()> {
        self.take_for_clients(&handle, (ipv6_prefix, number))
    }

    fn drop(&mut self, handle: Resource<BucketHandle>) -> Result<()> {
        let index = usize::try_from(handle.rep()).unwrap_or(usize::MAX);
        if let Some(slot) = self.buckets.get_mut(index) {
            *slot = None;
        }
        Ok(())
    }
}

fn take(
    guest: &mut Guest,
    handle: &Resource<BucketHandle>,
    key: Key<'_>,
    tokens: u32,
) -> Result<Decision> {
    Ok(bucket(guest, handle)?.take(key, tokens, Instant::now()))
}

/// The bucket behind a handle.
pub(super) fn bucket<'g>(
    guest: &'g mut Guest,
    handle: &Resource<BucketHandle>,
) -> Result<&'g Arc<Bucket>> {
    let index = usize::try_from(handle.rep()).unwrap_or(usize::MAX);
    if !guest.buckets.get(index).is_some_and(Option::is_some) {
        return Err(guest.stop("this bucket was dropped"));
    }
    let bucket = guest.buckets.get(index).and_then(Option::as_ref);
    bucket.ok_or_else(|| Error::msg("no bucket"))
}

/// The key of a client's bucket.
pub(super) fn client(client: IpAddr, ipv6_prefix: u8) -> Key<'static> {
    Key::Client(network(client, ipv6_prefix))
}

/// The first address of a client's network, where it is one of IPv6.
fn network(client: IpAddr, ipv6_prefix: u8) -> IpAddr {
    let IpAddr::V6(address) = client.to_canonical() else {
        return client.to_canonical();
    };
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_prefix.into()));
    IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask.unwrap_or(0)))
}

/// How many names of buckets one filter of one chain may have.
const BUCKETS: usize = 64;
/// How many handles to buckets an instance may hold.
const HANDLES: usize = 1024;
/// The longest key.
const KEY: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_return_when_they_are_dropped() {
        let rates = Rates::default();
        let key = || "a".to_owned();
        let first = rates.acquire(key(), 2).unwrap();
        let second = rates.acquire(key(), 2).unwrap();
        assert!(rates.acquire(key(), 2).is_none());
        assert!(rates.acquire("b".to_owned(), 2).is_some());
        drop(first);
        assert!(rates.acquire(key(), 2).is_some());
        drop(second);
        assert!(rates.permits.0.lock().unwrap().is_empty());
        assert!(rates.acquire(key(), 0).is_none());
    }

    #[test]
    fn clients_of_one_network_are_one() {
        let network = |client: &str, prefix| network(client.parse().unwrap(), prefix).to_string();
        assert_eq!(network("192.0.2.1", 64), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1", 64), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3::4", 64), "2001:db8:1:2::");
        assert_eq!(network("2001:db8::1", 128), "2001:db8::1");
        assert_eq!(network("2001:db8::1", 255), "2001:db8::1");
        assert_eq!(network("2001:db8::1", 0), "::");
    }

    #[test]
    fn a_bucket_keeps_its_level_when_its_rules_change() {
        let rule = |burst| {
            Rule::from(WitRule {
                tokens: 1,
                per_ms: 60_000,
                burst,
            })
        };
        let (rates, now) = (Rates::default(), Instant::now());
        let open = |rules| rates.open("a".to_owned(), rules).unwrap();
        let bucket = open(vec![rule(3)]);
        assert_eq!(bucket.take("k", 2, now).remaining, 1);
        let same = open(vec![rule(5)]);
        assert!(Arc::ptr_eq(&bucket, &same));
        assert!(same.take("k", 1, now).allowed);
        assert!(!same.take("k", 1, now).allowed);
        let lower = open(vec![rule(1)]);
        assert!(lower.take("other", 1, now).allowed);
        assert!(!lower.take("other", 1, now).allowed);
    }
}
