//! Unused: a crate names in its code what it names in its manifest, so that nobody builds what nobody needs.

use std::path::Path;

use crate::house::{Finding, Source, code_only, demand_none, packages, root, sources};

const REMEDY: &str = "remove the dependency from the crate's Cargo.toml; test-only ones belong under \
    [dev-dependencies]";

/// What of `dependencies` (as named in code) no file of `folder` names.
fn unnamed<'a>(
    dependencies: &[&'a str],
    folder: &str,
    others: &[String],
    sources: &[Source],
) -> Vec<&'a str> {
    let inside = |path: &str| {
        path.starts_with(folder)
            && !others
                .iter()
                .any(|it| it.len() > folder.len() && path.starts_with(it.as_str()))
    };
    let code: Vec<_> = sources
        .iter()
        .filter(|it| inside(&it.path))
        .map(|it| code_only(&it.text))
        .collect();
    let named = |name: &&&str| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        code.iter()
            .any(|it| it.split(|c| !word(c)).any(|part| part == **name))
    };
    dependencies
        .iter()
        .filter(|it| !named(it))
        .copied()
        .collect()
}

fn folder_of(package: &serde_json::Value) -> String {
    let manifest = package["manifest_path"].as_str().unwrap_or_default();
    let folder = Path::new(manifest).parent().unwrap_or(Path::new(""));
    let relative = folder.strip_prefix(root()).unwrap_or(folder);
    format!("{}/", relative.display())
}

#[test]
fn every_dependency_is_used() {
    let (packages, sources) = (packages(), sources(&["rs"]));
    let folders: Vec<_> = packages.iter().map(folder_of).collect();
    let mut found = Vec::new();
    for (package, folder) in packages.iter().zip(&folders) {
        let names: Vec<String> = package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["rename"].as_str().or_else(|| it["name"].as_str()))
            .map(|it| it.replace('-', "_"))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        for name in unnamed(&names, folder, &folders, &sources) {
            found.push(Finding::new(
                format!("{folder}Cargo.toml"),
                format!("`{name}` is not used"),
            ));
        }
    }
    demand_none(&found, REMEDY);
}

#[test]
fn an_unused_dependency_is_caught() {
    let sources = [
        Source::planted(
            "node/daemon/src/lib.rs",
            "use tokio::sync; // not serde\nlet hex_text = 1;",
        ),
        Source::planted("node/daemon/deeper/src/lib.rs", "use serde::Serialize;"),
        Source::planted("node/other/src/lib.rs", "use hex::encode;"),
    ];
    let others = ["node/daemon/".to_owned(), "node/daemon/deeper/".to_owned()];
    let found = unnamed(
        &["tokio", "serde", "hex"],
        "node/daemon/",
        &others,
        &sources,
    );
    assert_eq!(found, ["serde", "hex"]);
}
