//! Leadership: of many gateways, one writes. A Lease says which.
//!
//! Clocks of other machines are never compared with: a holder counts as gone when its Lease did not
//! change for as long as a lease lasts by the clock here. Writes go by the version that was read, so of
//! two that take a Lease at once one fails.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, api::PostParams};
use sha2::{Digest, Sha256};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::trouble::text;

/// Takes part in who leads.
pub(super) struct Election {
    pub(super) leases: Api<Lease>,
    pub(super) name: String,
    /// Who this is, unlike any other.
    pub(super) identity: String,
    pub(super) leads: watch::Sender<bool>,
    /// What the Lease was when it last changed, and when that was seen.
    observed: Option<(LeaseSpec, Instant)>,
    /// When this one last wrote it.
    renewed: Option<Instant>,
    /// When this one, leading, last saw that another waits, and last asked whether any does.
    company: Option<Instant>,
    asked: Option<Instant>,
}

/// How one attempt went.
enum Outcome {
    Leads,
    Follows,
    /// Another one wrote first.
    Late,
    /// Nobody knows: the server does not say.
    Unknown(String),
}

impl Election {
    pub(super) fn new(
        leases: Api<Lease>,
        name: String,
        identity: String,
        leads: watch::Sender<bool>,
    ) -> Self {
        Self {
            leases,
            name,
            identity,
            leads,
            observed: None,
            renewed: None,
            company: None,
            asked: None,
        }
    }

    /// Leads whenever it can; `tell` is given what stands in the way, and `None` when nothing does.
    pub(super) async fn run(&mut self, tell: impl Fn(Option<String>)) {
        loop {
            // A server that does not answer must not let a lease run out unnoticed.
            let attempt = timeout(ANSWER, self.attempt()).await;
            let outcome = attempt.unwrap_or_else(|_| Outcome::Unknown("no answer".to_owned()));
            let (leads, trouble) = match outcome {
                Outcome::Leads => (true, None),
                Outcome::Follows | Outcome::Late => (false, None),
                Outcome::Unknown(reason) => {
                    let valid = self.renewed.is_some_and(|at| at.elapsed() < DEADLINE);
                    (*self.leads.borrow() && valid, Some(reason))
                }
            };
            let turn = |known: &mut bool| std::mem::replace(known, leads) != leads;
            if self.leads.send_if_modified(turn) {
                let word = if leads { "leading" } else { "following" };
                tracing::info!(lease = self.name, identity = self.identity, "{word}");
            }
            tell(trouble);
            sleep(RETRY.mul_f64(0.8 + fastrand::f64() * 0.4)).await;
        }
    }

    async fn attempt(&mut self) -> Outcome {
        let mut outcome = Outcome::Late;
        for _ in 0..TRIES {
            outcome = match self.leases.get_opt(&self.name).await {
                Err(error) => Outcome::Unknown(text(&error)),
                Ok(None) => self.create().await,
                Ok(Some(lease)) => self.consider(lease).await,
            };
            // One that says that it waits may be quicker than one that renews.
            if !matches!(outcome, Outcome::Late) || !*self.leads.borrow() {
                break;
            }
        }
        outcome
    }

    async fn create(&mut self) -> Outcome {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(self.held(None)),
        };
        let created = self.leases.create(&PostParams::default(), &lease).await;
        self.written(created)
    }

    /// Renews it, takes it, or waits for it to run out.
    async fn consider(&mut self, mut lease: Lease) -> Outcome {
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let since = match &self.observed {
            Some((known, since)) if *known == spec => *since,
            Some(_) | None => Instant::now(),
        };
        self.observed = Some((spec.clone(), since));
        let own = holder == self.identity;
        if !own && !holder.is_empty() && since.elapsed() < DURATION {
            if *self.leads.borrow() {
                tracing::warn!(lease = self.name, holder, "the lease was taken by another");
                return Outcome::Follows;
            }
            return self.wait_for_it(lease).await;
        }
        if own {
            self.look_around(&mut lease);
        } else if let Some(marks) = &mut lease.metadata.annotations {
            marks.retain(|key, who| key != WAITING || *who != self.identity);
        }
        lease.spec = Some(self.held(Some(&spec)));
        let replaced = self.replace(&lease).await;
        self.written(replaced)
    }

    /// Says on the Lease of another one that this would take it, if nobody has.
    async fn wait_for_it(&self, mut lease: Lease) -> Outcome {
        let marks = lease.metadata.annotations.get_or_insert_default();
        if marks.contains_key(WAITING) {
            return Outcome::Follows;
        }
        marks.insert(WAITING.to_owned(), self.identity.clone());
        // Whoever was quicker said the same, or renewed it: there is a next time.
        let _ = self.replace(&lease).await;
        Outcome::Follows
    }

    /// Takes note whether another one waits. From time to time the mark is taken off, as who made it may
    /// be gone: who waits makes it again.
    fn look_around(&mut self, lease: &mut Lease) {
        let marks = lease.metadata.annotations.get_or_insert_default();
        if !marks.contains_key(WAITING) {
            return;
        }
        self.company = Some(Instant::now());
        let asked = *self.asked.get_or_insert_with(Instant::now);
        if asked.elapsed() > ASK {
            self.asked = None;
            marks.remove(WAITING);
        }
    }

    async fn replace(&self, lease: &Lease) -> kube::Result<Lease> {
        let parameters = PostParams::default();
        self.leases.replace(&self.name, &parameters, lease).await
    }

    fn written(&mut self, written: kube::Result<Lease>) -> Outcome {
        match written {
            Ok(lease) => {
                self.renewed = Some(Instant::now());
                self.observed = Some((lease.spec.unwrap_or_default(), Instant::now()));
                Outcome::Leads
            }
            // Another one was quicker; who it is shows the next time.
            Err(kube::Error::Api(status)) if status.code == 409 => Outcome::Late,
            Err(error) => Outcome::Unknown(text(&error)),
        }
    }

    /// What the Lease says while this one holds it.
    fn held(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let own = |spec: &&LeaseSpec| spec.holder_identity.as_ref() == Some(&self.identity);
        let now = MicroTime(Timestamp::now());
        let kept = before.filter(own);
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: kept
                .and_then(|spec| spec.acquire_time.clone())
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(match (before, kept) {
                (Some(_), None) => transitions.saturating_add(1),
                (Some(_), Some(_)) | (None, _) => transitions,
            }),
            ..LeaseSpec::default()
        }
    }

    /// Gives it up, and where another one may be waiting, waits for that to take it. Whether nobody did:
    /// then this was the last.
    pub(super) async fn leave(&mut self) -> bool {
        if !*self.leads.borrow() {
            return false;
        }
        self.leads.send_replace(false);
        if !self.release().await {
            return false;
        }
        if self.company.is_none_or(|seen| seen.elapsed() > COMPANY) {
            return true;
        }
        let end = Instant::now() + SUCCESSION;
        while Instant::now() < end {
            sleep(LOOK).await;
            let lease = self.leases.get_opt(&self.name).await;
            let holder = lease
                .ok()
                .flatten()
                .and_then(|lease| lease.spec?.holder_identity);
            if holder.is_some_and(|holder| !holder.is_empty()) {
                return false;
            }
        }
        true
    }

    /// Gives the Lease up; whether this one held it.
    async fn release(&mut self) -> bool {
        for _ in 0..TRIES {
            let Ok(Some(mut lease)) = self.leases.get_opt(&self.name).await else {
                return false;
            };
            self.look_around(&mut lease);
            let held = lease.spec.get_or_insert_default();
            if held.holder_identity.as_ref() != Some(&self.identity) {
                return false;
            }
            held.holder_identity = Some(String::new());
            match self.replace(&lease).await {
                Ok(_) => return true,
                // One that waits has just said so.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(_) => return false,
            }
        }
        false
    }
}

/// The Lease of those that write as this manager, unless they are told of one. Gateways of other namespaces
/// write about other objects: each group of them has a Lease of its own.
pub(super) fn name(manager: &str, namespaces: &[String]) -> String {
    if namespaces.is_empty() {
        return manager.to_owned();
    }
    let namespaces: BTreeSet<&str> = namespaces.iter().map(String::as_str).collect();
    let mut digest = Sha256::new();
    for namespace in namespaces {
        digest.update(namespace);
        digest.update(",");
    }
    let digest: String = digest
        .finalize()
        .iter()
        .take(DIGEST)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{digest}", manager.trim_end_matches(['.', '-']))
}

/// The annotation of a Lease that another one would take; without it, who leads is alone.
const WAITING: &str = "portcullis.dev/waiting";
/// How many bytes of a digest tell sets of namespaces apart.
const DIGEST: usize = 5;
/// How old that mark may get, and how long it takes to be made again.
const ASK: Duration = Duration::from_secs(10);
const COMPANY: Duration = Duration::from_secs(6);
/// How long a lease lasts without being renewed.
const DURATION: Duration = Duration::from_secs(15);
/// When a leader that cannot renew stops: well before another one starts.
const DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(4);
/// As long as a follower takes to notice that the lease is free.
const SUCCESSION: Duration = Duration::from_secs(4);
/// How often a write is tried where others write as well.
const TRIES: usize = 3;
const LOOK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::name;

    fn named(namespaces: &[&str]) -> String {
        let namespaces: Vec<String> = namespaces.iter().map(|&ns| ns.to_owned()).collect();
        name("portcullis-web", &namespaces)
    }

    #[test]
    fn gateways_of_the_same_namespaces_share_a_lease() {
        assert_eq!(named(&[]), "portcullis-web");
        // Another build has the same name for it.
        assert_eq!(named(&["shop"]), "portcullis-web-96279a6fb8");
        assert_eq!(named(&["shop", "blog"]), named(&["blog", "shop", "blog"]));
        assert_ne!(named(&["shop", "blog"]), named(&["shop"]));
        assert_ne!(named(&["a", "b"]), named(&["ab"]));
    }
}
