//! See `warren_fuzz::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::records(bytes));
