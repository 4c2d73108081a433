//! See `warren_fuzz::tower`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::tower(bytes));
