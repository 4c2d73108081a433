//! See `warren_fuzz::terms`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::terms(bytes));
