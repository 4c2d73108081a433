//! See `warren_fuzz::datagrams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::datagrams(bytes));
