//! See `targets::schedules`.
#![no_main]
#![allow(dead_code, reason = "each target is a program of its own")]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::schedules(bytes));
