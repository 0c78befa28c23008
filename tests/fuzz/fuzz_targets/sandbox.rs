//! See `fuzz::sandbox`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::sandbox::run(data));
