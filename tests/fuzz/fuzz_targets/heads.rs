//! See `warren_fuzz::heads`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::heads(bytes));
