//! Homes: each foreign giant is named by one crate, and some by one folder of it, so that it can be
//! replaced by changing one room.

use crate::house::{Finding, Source, code_only, demand_none, packages, sources};

/// Each foreign crate and the crates of the house that may depend on it.
const HOMES: [(&str, &[&str]); 21] = [
    ("libp2p", &["warren-overlay"]),
    ("libp2p-stream", &["warren-overlay"]),
    ("prost", &["warren-proto"]),
    ("prost-build", &["warren-proto"]),
    ("protox", &["warren-proto"]),
    ("ed25519-dalek", &["warren-proto"]),
    (
        "ethers-core",
        &["warren-chain", "warren-payments", "warren-payments-tests"],
    ),
    ("ethers-signers", &["warren-chain", "warren-payments"]),
    ("revm", &["warren-chain"]),
    ("jsonrpsee", &["warren-chain", "warren-payments-tests"]),
    ("age", &["warren-payments"]),
    ("boringtun", &["warren-tunnel"]),
    ("tun", &["warren-tunnel"]),
    ("x25519-dalek", &["warren-tunnel"]),
    ("rtnetlink", &["warren-tunnel"]),
    ("rocksdb", &["warren-daemon"]),
    ("axum", &["warren-daemon"]),
    ("plotters", &["warren-lab"]),
    ("clap", &["warren"]),
    ("indicatif", &["warren"]),
    ("anyhow", &["warren"]),
];

/// Never at all: what each would bring is in docs/adr/0010.
const BANNED: [&str; 4] = ["ethers", "ethers-providers", "openssl", "openssl-sys"];

/// Giants that even their own crate names in few files only: the name in code, the paths it may stand in.
const ROOMS: [(&str, &[&str]); 3] = [
    ("rocksdb", &["node/daemon/src/store"]),
    ("ed25519_dalek", &["proto/src/key"]),
    ("boringtun", &["node/tunnel/src/wireguard"]),
];

const REMEDY: &str = "ask the giant's home for what you need, as a type of our own; a giant moves or \
    a new one comes only with an ADR and a row in tests/tidy/homes.rs and deny.toml";

fn findings(packages: &[serde_json::Value]) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let giant = dependency["name"].as_str().unwrap_or_default();
            if BANNED.contains(&giant) {
                found.push(Finding::new(
                    name,
                    format!("{giant} may not live in this house"),
                ));
            }
            let home = HOMES.iter().find(|(it, _)| *it == giant);
            if home.is_some_and(|(_, crates)| !crates.contains(&name)) {
                found.push(Finding::new(
                    name,
                    format!("{giant} has its home elsewhere"),
                ));
            }
        }
    }
    found
}

fn rooms(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        let code = code_only(&source.text);
        for (giant, allowed) in ROOMS {
            let path_use = format!("{giant}::");
            let named = code.lines().any(|line| {
                line.match_indices(&path_use)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            if named && !allowed.iter().any(|it| source.path.starts_with(it)) {
                let seen = format!("{giant} is named outside {}", allowed.join(", "));
                found.push(Finding::new(&source.path, seen));
            }
        }
    }
    found
}

#[test]
fn every_giant_stays_in_its_crate() {
    demand_none(&findings(&packages()), REMEDY);
}

#[test]
fn every_giant_stays_in_its_room() {
    demand_none(&rooms(&sources(&["rs"])), REMEDY);
}

#[test]
fn a_giant_outside_its_crate_is_caught() {
    let planted = serde_json::json!({
        "name": "warren-daemon",
        "dependencies": [{ "name": "rocksdb" }, { "name": "libp2p" }, { "name": "ethers" }],
    });
    let found = findings(&[planted]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].seen.contains("libp2p") && found[1].seen.contains("ethers"),
        "{found:?}"
    );
}

#[test]
fn a_giant_outside_its_room_is_caught() {
    let planted = [
        Source::planted("node/daemon/src/api.rs", "use rocksdb::DB; // not here"),
        Source::planted("node/daemon/src/store/rocks.rs", "use rocksdb::DB;"),
        Source::planted(
            "node/daemon/src/run.rs",
            "let my_rocksdb::x = 1; // rocksdb::DB",
        ),
    ];
    let found = rooms(&planted);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].place, "node/daemon/src/api.rs");
}
