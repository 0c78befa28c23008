//! Leadership: of many gateways, one writes. A Lease says which.
//!
//! Clocks of other machines are never compared with: a holder counts as gone when its Lease did not
//! change for as long as a lease lasts by the clock here. Writes go by the version that was read, so of
//! two that take a Lease at once one fails.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, api::PostParams};
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
    observed: Option<(Term, Instant)>,
    /// When this one last wrote it.
    renewed: Option<Instant>,
}

/// Who held a Lease, and which of its versions that was.
#[derive(Clone, PartialEq, Eq)]
struct Term {
    holder: String,
    version: String,
}

/// How one attempt went.
enum Outcome {
    Leads,
    Follows,
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
                Outcome::Follows => (false, None),
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
        match self.leases.get_opt(&self.name).await {
            Err(error) => Outcome::Unknown(text(&error)),
            Ok(None) => self.create().await,
            Ok(Some(lease)) => self.consider(lease).await,
        }
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
        let term = Term {
            holder: spec.holder_identity.clone().unwrap_or_default(),
            version: lease.metadata.resource_version.clone().unwrap_or_default(),
        };
        let since = match &self.observed {
            Some((known, since)) if *known == term => *since,
            Some(_) | None => Instant::now(),
        };
        self.observed = Some((term.clone(), since));
        let own = term.holder == self.identity;
        if !own && !term.holder.is_empty() && since.elapsed() < DURATION {
            if *self.leads.borrow() {
                let holder = term.holder;
                tracing::warn!(lease = self.name, holder, "the lease was taken by another");
            }
            return Outcome::Follows;
        }
        lease.spec = Some(self.held(Some(&spec)));
        let replaced = self
            .leases
            .replace(&self.name, &PostParams::default(), &lease)
            .await;
        self.written(replaced)
    }

    fn written(&mut self, written: kube::Result<Lease>) -> Outcome {
        match written {
            Ok(lease) => {
                self.renewed = Some(Instant::now());
                let version = lease.metadata.resource_version.unwrap_or_default();
                let holder = self.identity.clone();
                self.observed = Some((Term { holder, version }, Instant::now()));
                Outcome::Leads
            }
            // Another one was quicker; who it is shows the next time.
            Err(kube::Error::Api(status)) if status.code == 409 => Outcome::Follows,
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

    /// Gives it up, and waits for another one to take it. Whether nobody did: then this was the last.
    pub(super) async fn leave(&mut self) -> bool {
        if !*self.leads.borrow() {
            return false;
        }
        self.leads.send_replace(false);
        let Ok(Some(mut lease)) = self.leases.get_opt(&self.name).await else {
            return false;
        };
        let held = lease.spec.get_or_insert_default();
        if held.holder_identity.as_ref() != Some(&self.identity) {
            return false;
        }
        held.holder_identity = Some(String::new());
        if self
            .leases
            .replace(&self.name, &PostParams::default(), &lease)
            .await
            .is_err()
        {
            return false;
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
}

/// How long a lease lasts without being renewed.
const DURATION: Duration = Duration::from_secs(15);
/// When a leader that cannot renew stops: well before another one starts.
const DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(4);
/// As long as a follower takes to notice that the lease is free.
const SUCCESSION: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(250);
