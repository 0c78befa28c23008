//! Random numbers fit for keys. Grant: `random`.

use crate::sys;

/// 64 random bits.
pub fn u64() -> u64 {
    sys::random_u64()
}

/// That many random bytes, at most 64 KiB; more stop the filter.
pub fn bytes(length: u32) -> Vec<u8> {
    sys::random_bytes(length)
}

/// A number below this one, each as likely as another; 0 where the bound is 0.
pub fn below(bound: u32) -> u32 {
    // The upper half of a product of 32 random bits: what it prefers some numbers by is one in 2^32.
    let product = (u64() >> 32) * u64::from(bound);
    u32::try_from(product >> 32).unwrap_or_default()
}
