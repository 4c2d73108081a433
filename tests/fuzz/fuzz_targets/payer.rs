//! See `warren_fuzz::payer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::payer(bytes));
