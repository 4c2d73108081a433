//! Floors: who may see whom. The trades never see each other; nobody sees the tests.

use crate::house::{Finding, demand_none, packages};

/// Each crate and the crates of the house it may name.
const FLOORS: [(&str, &[&str]); 10] = [
    ("warren-proto", &[]),
    ("warren-overlay", &["warren-proto"]),
    ("warren-chain", &["warren-proto"]),
    ("warren-payments", &["warren-proto", "warren-chain"]),
    (
        "warren-payments-tests",
        &["warren-proto", "warren-payments"],
    ),
    ("warren-tunnel", &["warren-proto"]),
    (
        "warren-daemon",
        &[
            "warren-proto",
            "warren-overlay",
            "warren-payments",
            "warren-tunnel",
        ],
    ),
    (
        "warren-lab",
        &[
            "warren-proto",
            "warren-overlay",
            "warren-payments",
            "warren-tunnel",
            "warren-daemon",
        ],
    ),
    (
        "warren",
        &[
            "warren-proto",
            "warren-overlay",
            "warren-payments",
            "warren-tunnel",
            "warren-daemon",
            "warren-lab",
        ],
    ),
    (
        "warren-tests",
        &[
            "warren-proto",
            "warren-overlay",
            "warren-payments",
            "warren-tunnel",
            "warren-daemon",
            "warren-lab",
            "warren",
        ],
    ),
];

const REMEDY: &str = "let the floor below offer a trait or a type, or move the code up to \
    node/daemon/src/perform.rs where the trades meet; a new crate gets its row in tests/tidy/floors.rs";

fn findings(packages: &[serde_json::Value]) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = FLOORS.iter().find(|(it, _)| *it == name) else {
            found.push(Finding::new(name, "a crate without a floor"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let below = dependency["name"].as_str().unwrap_or_default();
            let ours = below == "warren" || below.starts_with("warren-");
            if ours && !allowed.contains(&below) {
                found.push(Finding::new(name, format!("must not see {below}")));
            }
        }
    }
    found
}

#[test]
fn every_crate_sees_only_the_floors_below() {
    demand_none(&findings(&packages()), REMEDY);
}

#[test]
fn a_trade_that_sees_a_trade_is_caught() {
    let planted = serde_json::json!({
        "name": "warren-overlay",
        "dependencies": [{ "name": "warren-proto" }, { "name": "warren-payments", "kind": "dev" }],
    });
    assert_eq!(
        findings(&[planted]),
        [Finding::new(
            "warren-overlay",
            "must not see warren-payments"
        )]
    );
}

#[test]
fn a_crate_without_a_floor_is_caught() {
    let planted = serde_json::json!({ "name": "warren-utils", "dependencies": [] });
    assert_eq!(
        findings(&[planted]),
        [Finding::new("warren-utils", "a crate without a floor")]
    );
}
