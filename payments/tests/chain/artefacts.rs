//! The committed artefacts belong to the committed sources, and a compiler makes the same bytes.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn contracts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../contracts")
}

#[test]
fn every_artefact_names_the_source_it_was_made_of() {
    let sources: [(&str, &[&str]); 3] = [
        ("ChainLock", &["ChainLock", "IChainLock"]),
        ("DevToken", &["DevToken"]),
        ("WeirdToken", &["WeirdToken"]),
    ];
    for (name, files) in sources {
        let source: Vec<u8> = files
            .iter()
            .flat_map(|it| std::fs::read(contracts().join(format!("{it}.sol"))).unwrap())
            .collect();
        let artefact = std::fs::read(contracts().join(format!("artefacts/{name}.json"))).unwrap();
        let artefact: Value = serde_json::from_slice(&artefact).unwrap();
        let expected = hex::encode(Sha256::digest(source));
        assert_eq!(
            artefact["sourceSha256"], expected,
            "{name}: run npm run build in contracts/"
        );
    }
}

#[test]
fn a_compiler_makes_the_same_bytes() {
    if !contracts().join("node_modules/solc").is_dir() {
        eprintln!("SKIPPED: no solc; run `npm ci` in payments/contracts");
        return;
    }
    let mut check = Command::new("node");
    check
        .args(["build.mjs", "--check"])
        .current_dir(contracts());
    let Ok(output) = check.output() else {
        eprintln!("SKIPPED: no node to run the compiler with");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
