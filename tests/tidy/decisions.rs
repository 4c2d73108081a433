//! Decisions: every ADR is short, has its four parts, and stands in ARCHITECTURE.md's index.

use crate::house::{Finding, Source, demand_none, root, sources};

const LIMIT_LINES: usize = 60;
const PARTS: [&str; 4] = [
    "## Context",
    "## Decision",
    "## What it costs",
    "## How to undo it",
];
const REMEDY: &str = "one decision per file in docs/adr, numbered without gaps, with the four headings, \
    and its line in ARCHITECTURE.md under \"Decisions\"";

fn findings(records: &[Source], architecture: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let mut say = |seen: String| found.push(Finding::new(&record.path, seen));
        let name = record.path.rsplit('/').next().unwrap_or_default();
        if !name.starts_with(&format!("{:04}-", index + 1)) {
            say(format!("should have the number {:04}", index + 1));
        }
        if record.text.lines().count() >= LIMIT_LINES {
            say(format!("has {LIMIT_LINES} lines or more"));
        }
        for part in PARTS.iter().filter(|it| !record.text.contains(*it)) {
            say(format!("has no `{part}`"));
        }
        if !architecture.contains(name) {
            say("is not in the index".to_owned());
        }
    }
    found
}

#[test]
fn every_decision_is_short_and_indexed() {
    let mut records = sources(&["md"]);
    records.retain(|it| it.path.starts_with("docs/adr/"));
    assert!(!records.is_empty(), "docs/adr holds the decisions");
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map");
    demand_none(&findings(&records, &architecture), REMEDY);
}

#[test]
fn a_decision_nobody_finds_is_caught() {
    let text = "# 1\n## Context\n## Decision\n## What it costs\n";
    let found = findings(&[Source::planted("docs/adr/0002-x.md", text)], "0001-y.md");
    let seen: Vec<_> = found.iter().map(|it| it.seen.as_str()).collect();
    assert_eq!(
        seen,
        [
            "should have the number 0001",
            "has no `## How to undo it`",
            "is not in the index"
        ]
    );
}
