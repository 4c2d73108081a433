//! Deploy: every example a user may copy is one the program accepts.

use std::path::Path;

use crate::house::{Finding, Source, demand_none, root, sources};

const REMEDY: &str =
    "mend the example, or the key it uses: the examples in deploy/ are promised to work";

/// Each example and why it does not parse.
fn unreadable(examples: &[Source]) -> Vec<Finding> {
    examples
        .iter()
        .filter_map(|it| match it.text.parse::<toml::Table>() {
            Ok(_) => None,
            Err(error) => Some(Finding::new(&it.path, error.message())),
        })
        .collect()
}

/// Each file of deploy/ that a compose file mounts or builds from, and that is not there.
fn missing(composes: &[Source], exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for compose in composes {
        for line in compose.text.lines().map(str::trim) {
            let value = line
                .trim_start_matches("- ")
                .rsplit(": ")
                .next()
                .unwrap_or_default();
            let host_side = value
                .split(':')
                .next()
                .unwrap_or_default()
                .trim_matches('"');
            if let Some(name) = host_side.strip_prefix("./") {
                if !exists(&Path::new("deploy").join(name)) {
                    found.push(Finding::new(
                        &compose.path,
                        format!("`{host_side}` does not exist"),
                    ));
                }
            }
        }
    }
    found
}

#[test]
fn every_example_config_parses() {
    let mut examples = sources(&["toml"]);
    examples.retain(|it| it.path.starts_with("deploy/"));
    demand_none(&unreadable(&examples), REMEDY);
}

#[test]
fn every_compose_file_names_files_that_exist() {
    let mut composes = sources(&["yml"]);
    composes.retain(|it| it.path.starts_with("deploy/"));
    demand_none(&missing(&composes, |it| root().join(it).exists()), REMEDY);
}

#[test]
fn a_broken_example_is_caught() {
    let planted = [
        Source::planted("deploy/config/a.toml", "[exit]\nregion = \"AT\"\n"),
        Source::planted("deploy/config/b.toml", "[exit\n"),
    ];
    let found = unreadable(&planted);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].place, "deploy/config/b.toml");
}

#[test]
fn a_missing_mount_is_caught() {
    let text = "services:\n  exit:\n    volumes:\n      - ./config/exit.toml:/etc/warren/warren.toml:ro\n      - ./gone.toml:/x\n";
    let found = missing(&[Source::planted("deploy/compose.yml", text)], |it| {
        it == Path::new("deploy/config/exit.toml")
    });
    assert_eq!(
        found,
        [Finding::new(
            "deploy/compose.yml",
            "`./gone.toml` does not exist"
        )]
    );
}
