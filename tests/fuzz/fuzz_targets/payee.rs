//! See `warren_fuzz::payee`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::payee(bytes));
