//! See `warren_fuzz::reverts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::reverts(bytes));
