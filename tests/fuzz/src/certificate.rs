//! Certificates of Secrets: PEM, and the DER in it.
//!
//! No bytes are too much: no panic, no more than 50 ms of CPU time, and no more memory than ten times the input.
//!
//! The input is a chain and a key in PEM with a line `===` between them. After a first byte `D` it is one certificate
//! in DER instead, of the key in this file.

use base64::{Engine, prelude::BASE64_STANDARD};
use peak_alloc::PeakAlloc;
use proxy::inspect_certificate;
use rustix::time::{ClockId, clock_gettime};

/// Any bytes.
pub fn run(data: &[u8]) {
    let (chain, key) = match data.split_first() {
        Some((b'D', der)) => {
            let pem = format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                BASE64_STANDARD.encode(der)
            );
            (pem.into_bytes(), KEY.as_bytes())
        }
        _ => match data.windows(MARK.len()).position(|window| window == MARK) {
            Some(at) => (data[..at].to_vec(), &data[at + MARK.len()..]),
            None => (data.to_vec(), KEY.as_bytes()),
        },
    };
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let began = cpu();
    let inspected = inspect_certificate(&chain, key);
    let (took, peak) = (cpu() - began, ALLOCATOR.peak_usage().saturating_sub(before));

    let size = chain.len() + key.len();
    assert!(took < 0.05, "{took} s for {size} bytes");
    assert!(
        peak <= 10 * size + FIXED,
        "{peak} bytes of memory for {size}"
    );
    if let Ok(info) = inspected {
        assert!(
            info.names
                .iter()
                .all(|name| !name.bytes().any(|b| b.is_ascii_uppercase())),
            "{:?}",
            info.names
        );
    }
}

/// The CPU time of this thread in seconds: that of others on the machine does not count.
#[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
pub(crate) fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What the parsers take whatever they are given.
const FIXED: usize = 64 * 1024;
const MARK: &[u8] = b"\n===\n";
/// Of nobody.
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwyQ5njJVbxRW6aqU\n\
LmoyPY9KhCNXF9XNBaJ4JKG6leKhRANCAAQDhheoqjYfVSJIm2vJXzhyqcCXe1aE\n\
xilVSA+XX+jSxThL556WQs/lEzInoNl+6u4DAoS4H1pI/2kK+g3FWiLC\n\
-----END PRIVATE KEY-----\n\
";
