//! The map: ARCHITECTURE.md names every crate and every module, and nothing that is not there.
//!
//! The list of modules is drawn from the modules' own first sentences, so that it cannot lie:
//! `UPDATE_EXPECT=1 cargo tidy` draws it anew. What a crate is for, and what it never does, is written by hand.

use crate::house::{Finding, Source, demand_none, packages, root, sources};

const BEGIN: &str = "<!-- map:begin -->";
const END: &str = "<!-- map:end -->";
const REDRAW: &str = "run `UPDATE_EXPECT=1 cargo tidy` and commit ARCHITECTURE.md";
const REMEDY: &str = "give each crate its heading (### `name`) with an **Invariant:** line, name only \
    files that exist, and begin each module with `//! What it is, in one sentence.`";

/// The crates in the order of the floors: name, folder of sources.
const CRATES: [(&str, &str); 10] = [
    ("warren-proto", "proto/src/"),
    ("warren-overlay", "overlay/src/"),
    ("warren-chain", "payments/chain/src/"),
    ("warren-payments", "payments/src/"),
    ("warren-payments-tests", "payments/tests/src/"),
    ("warren-tunnel", "node/tunnel/src/"),
    ("warren-daemon", "node/daemon/src/"),
    ("warren-lab", "node/lab/src/"),
    ("warren", "node/cli/src/"),
    ("warren-tests", "tests/"),
];

/// The first sentence of a file's header. `None` if there is none.
fn first_sentence(text: &str) -> Option<String> {
    let header = text
        .lines()
        .map_while(|it| it.strip_prefix("//!"))
        .map(str::trim);
    let paragraph: Vec<_> = header.take_while(|it| !it.is_empty()).collect();
    let joined = paragraph.join(" ");
    let end = joined.find(". ").unwrap_or(joined.len());
    let sentence = joined[..end].trim_end_matches('.').trim();
    (!sentence.is_empty()).then(|| sentence.to_owned())
}

fn is_module(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name != "tests.rs" && !path.contains("/tests/") && path.ends_with(".rs")
}

/// Draws the list: one block per crate, one line per module.
fn draw(sources: &[Source]) -> String {
    let mut drawn = format!("{BEGIN}\n```text\n");
    for (name, folder) in CRATES {
        drawn.push_str(&format!("{name}  ({})\n", folder.trim_end_matches('/')));
        for source in sources
            .iter()
            .filter(|it| it.path.starts_with(folder) && is_module(&it.path))
        {
            let module = source.path[folder.len()..].trim_end_matches(".rs");
            let sentence = first_sentence(&source.text).unwrap_or_default();
            drawn.push_str(&format!("  {module:<26} {sentence}\n"));
        }
    }
    drawn.push_str("```\n");
    drawn.push_str(END);
    drawn
}

fn splice(architecture: &str, drawn: &str) -> Option<String> {
    let begin = architecture.find(BEGIN)?;
    let end = begin + architecture[begin..].find(END)? + END.len();
    Some(format!(
        "{}{drawn}{}",
        &architecture[..begin],
        &architecture[end..]
    ))
}

fn findings(architecture: &str, crates: &[String], exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let place = "ARCHITECTURE.md";
    let mut found = Vec::new();
    for name in crates {
        let heading = format!("### `{name}`");
        match architecture
            .split(&heading)
            .nth(1)
            .and_then(|it| it.split("\n#").next())
        {
            None => found.push(Finding::new(place, format!("has no `{heading}`"))),
            Some(text) if !text.contains("**Invariant:**") => {
                found.push(Finding::new(
                    place,
                    format!("`{heading}` has no **Invariant:**"),
                ));
            }
            Some(_) => {}
        }
    }
    for path in architecture
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|it| is_path(it))
    {
        if !exists(path) {
            found.push(Finding::new(
                place,
                format!("names `{path}`, which does not exist"),
            ));
        }
    }
    found
}

/// Whether a quoted word is meant as a file or folder of the repository.
fn is_path(word: &str) -> bool {
    let ends = [".rs", ".sol", ".sh", ".toml", ".proto", ".md", ".yml", "/"];
    let plain = word
        .chars()
        .all(|c| c.is_alphanumeric() || "._-/".contains(c));
    plain
        && word.contains('/')
        && !word.starts_with('/')
        && ends.iter().any(|it| word.ends_with(it))
}

fn modules() -> Vec<Source> {
    sources(&["rs"])
}

#[test]
fn the_map_is_the_house() {
    let path = root().join("ARCHITECTURE.md");
    let architecture = std::fs::read_to_string(&path).expect("the map");
    let redrawn = splice(&architecture, &draw(&modules())).expect("the map keeps its two marks");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &redrawn).expect("the map can be written");
        return;
    }
    let stale: Vec<_> = redrawn
        .lines()
        .filter(|line| !architecture.lines().any(|it| it == *line))
        .map(|line| Finding::new("ARCHITECTURE.md", format!("lacks `{}`", line.trim())))
        .chain(
            architecture
                .lines()
                .filter(|line| !redrawn.lines().any(|it| it == *line))
                .map(|line| {
                    Finding::new("ARCHITECTURE.md", format!("still has `{}`", line.trim()))
                }),
        )
        .collect();
    demand_none(&stale, REDRAW);
}

#[test]
fn every_crate_has_its_paragraph_and_every_path_its_file() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map");
    let crates: Vec<_> = packages()
        .iter()
        .filter_map(|it| it["name"].as_str().map(str::to_owned))
        .collect();
    let named: Vec<_> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<_> = crates.iter().filter(|it| !named.contains(it)).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} need their row in tests/tidy/map.rs"
    );
    demand_none(
        &findings(&architecture, &crates, |it| root().join(it).exists()),
        REMEDY,
    );
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<_> = modules()
        .iter()
        .filter(|it| is_module(&it.path) && first_sentence(&it.text).is_none())
        .map(|it| Finding::new(&it.path, "has no first sentence"))
        .collect();
    demand_none(&silent, REMEDY);
}

#[test]
fn a_new_module_makes_the_map_stale() {
    let source = |path: &str, text: &str| Source::planted(path, text);
    let one = [source(
        "proto/src/id.rs",
        "//! Names of things. More.\n//!\n//! Even more.\n",
    )];
    let two = [
        one[0].clone(),
        source("proto/src/unit.rs", "//! Numbers with\n//! a unit.\n"),
    ];
    let map = format!("# Map\n{}\nend", draw(&one));
    assert!(
        map.contains("  id                         Names of things\n"),
        "{map}"
    );
    let redrawn = splice(&map, &draw(&two)).expect("marks");
    assert_ne!(map, redrawn);
    assert!(redrawn.contains("Numbers with a unit\n") && redrawn.ends_with("\nend"));
    assert_eq!(splice("no marks", "x"), None);
}

#[test]
fn a_map_of_another_house_is_caught() {
    let map = "### `warren-proto`\nwords, `proto/src/gone.rs`, `foo/`, `a b/c.rs`\n### `warren-lab`\n**Invariant:** none";
    let crates = ["warren-proto", "warren-lab", "warren"].map(str::to_owned);
    let seen: Vec<_> = findings(map, &crates, |it| it == "foo/")
        .into_iter()
        .map(|it| it.seen)
        .collect();
    assert_eq!(
        seen,
        [
            "`### `warren-proto`` has no **Invariant:**",
            "has no `### `warren``",
            "names `proto/src/gone.rs`, which does not exist",
        ]
    );
}
