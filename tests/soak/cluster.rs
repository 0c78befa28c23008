//! A cluster of many objects that change all the time, with two gateways on it.

use std::{process::ExitCode, sync::Arc, time::Duration};

use harness::{Client, Crowd, Gateway, gateway, pause};

use crate::watch::mebibytes;

/// A gateway, and what it had used before the changes.
struct Watched {
    gateway: Arc<Gateway>,
    resident: u64,
    cpu: Duration,
    client: Client,
}

/// Prints what became of memory and requests; whether all was as it should be.
pub(crate) async fn run(time: Duration) -> ExitCode {
    let mut crowd = Crowd::of(OBJECTS).await;
    let start = || gateway().cluster(&crowd.api).flag("--workers", "2").start();
    let gateways = [Arc::new(start().await), Arc::new(start().await)];
    for gateway in &gateways {
        crowd.is_served_by(gateway).await;
    }
    // A first while of changes, for what is only made once.
    crowd.churn(RATE, WARM).await;
    let all = gateways.map(|gateway| Watched {
        resident: gateway.resident(),
        cpu: gateway.cpu(),
        client: crowd.client(&gateway),
        gateway,
    });
    let changes = crowd.churn(RATE, time).await;
    let seconds = time.as_secs();
    println!("soak: {OBJECTS} objects, {changes} changes in {seconds} s, two gateways");
    for watched in &all {
        crowd.is_served_by(&watched.gateway).await;
    }
    crowd.forget();
    pause(SETTLE).await;

    let mut faults = Vec::new();
    let gateways = all.len();
    for watched in all {
        faults.extend(watched.judge().await);
    }
    for kind in ["ingresses", "services", "endpointslices", "secrets"] {
        let lists = crowd.api.lists(kind);
        println!("soak: {lists} lists of {kind}");
        if lists != gateways {
            faults.push(format!("{kind} were listed again"));
        }
    }
    for fault in faults.iter().take(MOST_TOLD) {
        println!("soak: {fault}");
    }
    u8::from(!faults.is_empty()).into()
}

impl Watched {
    /// Prints how it fared; what is not as it should be.
    async fn judge(self) -> Vec<String> {
        let Self {
            gateway,
            resident: before,
            cpu,
            client,
        } = self;
        let (after, cpu) = (gateway.resident(), gateway.cpu() - cpu);
        let (asked, mut faults) = client.stop().await;
        println!(
            "soak: resident {:.1} MiB before, {:.1} MiB after, {:.1} MiB at most; {:.1} s of CPU; \
             {asked} requests, {} failed",
            mebibytes(before),
            mebibytes(after),
            mebibytes(gateway.peak_resident()),
            cpu.as_secs_f64(),
            faults.len(),
        );
        if after > before + before / 5 {
            faults.push("its memory grew".to_owned());
        }
        faults
    }
}

const OBJECTS: usize = 10_000;
/// Changes a second.
const RATE: u32 = 100;
const WARM: Duration = Duration::from_secs(5);
/// How long until memory that is no longer needed is given back.
const SETTLE: Duration = Duration::from_secs(10);
const MOST_TOLD: usize = 20;
