//! Words: one word, one thing. The bold words of ARCHITECTURE.md's glossary are no identifiers here.

use crate::house::{Finding, Source, code_only, demand_none, root, sources};

const REMEDY: &str = "take the glossary's word (ARCHITECTURE.md, \"Glossary\"); a text that must name the \
    other one, for instance to quote a foreign protocol, does so in a comment or a string";

/// The bold words of the glossary's second column.
fn forbidden(architecture: &str) -> Vec<String> {
    let glossary = architecture
        .split("\n## Glossary")
        .nth(1)
        .unwrap_or_default();
    let glossary = glossary.split("\n## ").next().unwrap_or_default();
    let rows = glossary.lines().filter(|it| it.starts_with('|'));
    let never = rows.filter_map(|it| it.split('|').nth(2));
    never
        .flat_map(|cell| cell.split("**").skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn findings(sources: &[Source], forbidden: &[String]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in code_only(&source.text).lines().enumerate() {
            for identifier in identifiers(line) {
                if let Some(word) = forbidden.iter().find(|it| says(identifier, it)) {
                    let place = format!("{}:{}", source.path, number + 1);
                    found.push(Finding::new(place, format!("`{identifier}` says `{word}`")));
                }
            }
        }
    }
    found
}

fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|it| !it.is_empty())
}

/// Whether the parts of `identifier` (snake or camel case) contain those of `word`, plural or not.
fn says(identifier: &str, word: &str) -> bool {
    let (parts, wanted) = (parts(identifier), parts(word));
    parts.windows(wanted.len()).any(|it| {
        it.iter()
            .zip(&wanted)
            .all(|(a, b)| a == b || a.strip_suffix('s') == Some(b.as_str()))
    })
}

fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut lower_before = false;
    for c in identifier.chars() {
        if c == '_' || (c.is_uppercase() && lower_before) {
            parts.push(String::new());
        }
        if let (true, Some(last)) = (c != '_', parts.last_mut()) {
            last.extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase() || c.is_ascii_digit();
    }
    parts.retain(|it| !it.is_empty());
    parts
}

#[test]
fn one_word_means_one_thing() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map");
    let forbidden = forbidden(&architecture);
    assert!(
        forbidden.len() >= 8,
        "the glossary lost its bold words: {forbidden:?}"
    );
    demand_none(
        &findings(&sources(&["rs", "sol", "proto"]), &forbidden),
        REMEDY,
    );
}

#[test]
fn the_glossary_is_read() {
    let text = "\n## Glossary\n| word | never |\n|---|---|\n| offer | **proposal**, ad | x **bold** |\n\n## Next\n| a | **b** |";
    assert_eq!(forbidden(text), ["proposal"]);
}

#[test]
fn a_forbidden_word_is_caught_in_every_case() {
    let words = ["ticket".to_owned(), "secret_hash".to_owned()];
    let text =
        "struct LotteryTickets; let my_secret_hash = 1; // a ticket\nlet ticketing = \"ticket\";";
    let found = findings(&[Source::planted("payments/src/a.rs", text)], &words);
    assert_eq!(
        found,
        [
            Finding::new("payments/src/a.rs:1", "`LotteryTickets` says `ticket`"),
            Finding::new("payments/src/a.rs:1", "`my_secret_hash` says `secret_hash`"),
        ]
    );
}
