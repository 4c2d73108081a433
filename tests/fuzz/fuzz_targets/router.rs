//! See `warren_fuzz::router`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::router(bytes));
