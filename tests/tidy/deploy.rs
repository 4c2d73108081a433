//! Deploy: every example a user may copy is one the program accepts.

use std::path::Path;

use warren_daemon::config::{Config, Sources};

use crate::house::{Finding, Source, demand_none, root, sources};

const REMEDY: &str =
    "mend the example, or the key it uses: the examples in deploy/ are promised to work";

/// Why the daemon would not start with this file as its configuration.
fn refused(file: &Path) -> Option<String> {
    let sources = Sources {
        file: Some(file.to_owned()),
        ..Sources::default()
    };
    Config::load(&sources).err().map(|it| it.to_string())
}

/// Each example that is no TOML at all.
fn unreadable(examples: &[Source]) -> Vec<Finding> {
    let broken = |it: &Source| it.text.parse::<toml::Table>().err();
    examples
        .iter()
        .filter_map(|it| broken(it).map(|error| Finding::new(&it.path, error.message())))
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
            if let Some(name) = host_side.strip_prefix("./")
                && !exists(&Path::new("deploy").join(name))
            {
                found.push(Finding::new(
                    &compose.path,
                    format!("`{host_side}` does not exist"),
                ));
            }
        }
    }
    found
}

#[test]
fn every_example_is_readable() {
    let mut examples = sources(&["toml"]);
    examples.retain(|it| it.path.starts_with("deploy/"));
    demand_none(&unreadable(&examples), REMEDY);
}

#[test]
fn every_example_config_is_one_the_daemon_accepts() {
    let mut configs = sources(&["toml"]);
    configs.retain(|it| it.path.starts_with("deploy/config/"));
    assert!(!configs.is_empty(), "deploy/config holds the examples");
    let refused = |it: &Source| refused(&root().join(&it.path));
    let found: Vec<_> = configs
        .iter()
        .filter_map(|it| refused(it).map(|why| Finding::new(&it.path, why)))
        .collect();
    demand_none(&found, REMEDY);
}

#[test]
fn a_config_the_daemon_does_not_accept_is_caught() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), "[exit]\nguests_maximum = 8\n").expect("can be written");
    let why = refused(file.path()).expect("an unknown key");
    assert!(why.contains("guests_max"), "{why}");
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

/// What a base image holds, by the two files that can make one.
fn packages(dockerfile: &str, base: &str) -> [Vec<String>; 2] {
    let list = |text: &str| {
        let words = text.split([' ', ',']).filter(|it| !it.is_empty());
        let mut list: Vec<_> = words.map(str::to_owned).collect();
        list.sort();
        list
    };
    let of_registry = dockerfile.split("--no-install-recommends ").nth(1);
    let of_registry = of_registry.and_then(|it| it.split(" && ").next());
    let own = base.lines().find_map(|it| it.strip_prefix("packages="));
    [of_registry, own].map(|it| list(it.unwrap_or_default()))
}

#[test]
fn both_bases_hold_the_same_packages() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect(name);
    let [of_registry, own] = packages(&read("deploy/Dockerfile"), &read("deploy/docker/base.sh"));
    assert!(!own.is_empty(), "deploy/docker/base.sh names its packages");
    assert_eq!(
        of_registry, own,
        "deploy/Dockerfile and deploy/docker/base.sh differ"
    );
}
