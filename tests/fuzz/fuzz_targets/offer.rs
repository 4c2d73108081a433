//! See `warren_fuzz::offer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::offer(bytes));
