//! See `warren_fuzz::super_packets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren_fuzz::super_packets(bytes));
