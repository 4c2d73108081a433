//! See `warren_fuzz::transactions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::transactions(bytes));
