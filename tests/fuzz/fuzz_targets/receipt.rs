//! See `warren_fuzz::receipt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::receipt(bytes));
