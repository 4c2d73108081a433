//! Unused: a crate names in its code what it names in its manifest, so that nobody builds what nobody needs.

use std::path::Path;

use crate::house::{Finding, Source, code_only, demand_none, packages, root, sources};

const REMEDY: &str = "remove the dependency from the crate's Cargo.toml; test-only ones belong under \
    [dev-dependencies]";

/// What of `dependencies` (as named in code) no file of a crate names: those in its folders `own`, of `all` there are.
fn unnamed<'a>(
    dependencies: &[&'a str],
    own: &[String],
    all: &[String],
    sources: &[Source],
) -> Vec<&'a str> {
    let inside = |path: &str| {
        let around = all.iter().filter(|it| path.starts_with(it.as_str()));
        around
            .max_by_key(|it| it.len())
            .is_some_and(|it| own.contains(it))
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

/// The folders of a package: its manifest's first, then those of its programs.
fn folders_of(package: &serde_json::Value) -> Vec<String> {
    let targets = package["targets"].as_array().into_iter().flatten();
    let files = std::iter::once(&package["manifest_path"]).chain(targets.map(|it| &it["src_path"]));
    files
        .map(|file| {
            let file = Path::new(file.as_str().unwrap_or_default());
            let folder = file.parent().unwrap_or(Path::new(""));
            format!(
                "{}/",
                folder.strip_prefix(root()).unwrap_or(folder).display()
            )
        })
        .collect()
}

#[test]
fn every_dependency_is_used() {
    let (packages, sources) = (packages(), sources(&["rs"]));
    let folders: Vec<_> = packages.iter().map(folders_of).collect();
    let all = folders.concat();
    let mut found = Vec::new();
    for (package, own) in packages.iter().zip(&folders) {
        let names: Vec<String> = package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["rename"].as_str().or_else(|| it["name"].as_str()))
            .map(|it| it.replace('-', "_"))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        for name in unnamed(&names, own, &all, &sources) {
            found.push(Finding::new(
                format!("{}Cargo.toml", own[0]),
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
    let own = ["node/daemon/".to_owned()];
    let all = [own[0].clone(), "node/daemon/deeper/".to_owned()];
    let found = unnamed(&["tokio", "serde", "hex"], &own, &all, &sources);
    assert_eq!(found, ["serde", "hex"]);
}
