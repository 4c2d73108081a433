//! The fuzzer's corpora through its own targets, on any toolchain: what was found once stays found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a target that cannot go on has found something"
)]

mod seeds;
mod targets;

use std::fs;
use std::path::Path;

// What the fuzzer's own crate (lib.rs) takes from single files, for it brings no libp2p and no RocksDB.
use warren_daemon::receipt as receipts;
use warren_daemon::store::chain as heads;
use warren_overlay::offers::admission;

/// The committed inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

fn replay(target: &str) {
    let (_, run) = targets::ALL
        .iter()
        .find(|(name, _)| *name == target)
        .unwrap();
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "{target} has no corpus");
    for (name, bytes) in &inputs {
        println!("{name}");
        run(bytes);
        // What is cut short or spoilt in the middle is no worse.
        run(&bytes[..bytes.len() / 2]);
        let mut spoilt = bytes.clone();
        if let Some(byte) = spoilt.get_mut(bytes.len() / 3) {
            *byte ^= 0x41;
        }
        run(&spoilt);
    }
}

fn in_folder(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed_and_can_be_fuzzed() {
            let here = [$(stringify!($name)),*];
            assert_eq!(targets::ALL.map(|(name, _)| name), here);
            // The fuzzer's own workspace is built by nobody who does not fuzz.
            let doors = in_folder("lib.rs");
            let manifest = in_folder("Cargo.toml");
            let (_, doors) = doors.split_once("\ndoors! {").unwrap();
            let (doors, _) = doors.split_once('}').unwrap();
            assert_eq!(doors.split_whitespace().collect::<Vec<_>>(), here);
            for name in here {
                let bin = format!("fuzz_targets/{name}.rs");
                assert!(manifest.contains(&format!("path = \"{bin}\"")), "{bin}");
                let call = format!("warren_fuzz::{name}(bytes)");
                assert!(in_folder(&bin).contains(&call), "{bin}");
            }
        }
    };
}

replays! {
    frame offer terms records answers reverts datagrams packets super_packets schedules roads
    payer payee router tower transactions receipt heads
}
