//! Skips: a test that does not run is listed by `tests/run.sh`, and something else runs it.

use crate::house::{Finding, Source, demand_none, root, sources};

const REMEDY: &str = "print `SKIPPED: why` where a test cannot run (tests/run.sh lists that word); \
    end the reason of an ignored test with `tests/long.sh PART runs it`, a part that long.sh has \
    and that names the test's binary; what is no test says what it is: `the body of …`, `writes …`";

/// How a reason begins that is not a test's.
const NO_TEST: [&str; 2] = ["the body of ", "writes "];

fn findings(sources: &[Source], long: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            let seen = if line.contains("println!(\"") && wrong_word(line) {
                "skips in a word that tests/run.sh does not look for".to_owned()
            } else if let Some(rest) = line.trim_start().strip_prefix("#[ignore") {
                match wrong_reason(rest, &source.path, long) {
                    Some(why) => why,
                    None => continue,
                }
            } else {
                continue;
            };
            found.push(Finding::new(
                format!("{}:{}", source.path, number + 1),
                seen,
            ));
        }
    }
    found
}

/// Whether a line prints the word in another way than the one that is looked for.
fn wrong_word(line: &str) -> bool {
    let said = line.split("println!(\"").nth(1).unwrap_or_default();
    let word: String = said.chars().take(7).collect();
    word.eq_ignore_ascii_case("skipped") && word != "SKIPPED"
}

fn wrong_reason(rest: &str, path: &str, long: &str) -> Option<String> {
    let reason = rest.split('"').nth(1).unwrap_or_default();
    if NO_TEST.iter().any(|it| reason.starts_with(it)) {
        return None;
    }
    let words: Vec<_> = reason.split_whitespace().collect();
    let &[.., "tests/long.sh", part, "runs", "it"] = words.as_slice() else {
        return Some("is ignored, and nothing is said to run it".to_owned());
    };
    // The part is a function of that name or one that calls others, and the file's binary is named.
    let binary = path.split("/tests/").nth(1).unwrap_or_default();
    let binary = binary.split(['/', '.']).next().unwrap_or_default();
    let has = |word: &str| {
        long.split(|it: char| !it.is_alphanumeric() && it != '_')
            .any(|it| it == word)
    };
    (!has(part) || !has(binary))
        .then(|| format!("tests/long.sh does not name both `{part}` and `{binary}`"))
}

#[test]
fn every_test_that_does_not_run_is_told_of_and_run_elsewhere() {
    let long = std::fs::read_to_string(root().join("tests/long.sh")).expect("the long ones");
    let mut all = sources(&["rs"]);
    all.retain(|it| !it.path.starts_with("tests/tidy/"));
    demand_none(&findings(&all, &long), REMEDY);
}

#[test]
fn a_test_that_nobody_runs_is_caught() {
    let text = "println!(\"skipped: no ip\");\n#[ignore = \"long\"]\n\
        #[ignore = \"hours; tests/long.sh money runs it\"]\n\
        #[ignore = \"hours; tests/long.sh tunnel runs it\"]\n\
        #[ignore = \"the body of a process\"]\nprintln!(\"SKIPPED: no ip\");\n";
    let long = "money) cargo test --test sim";
    let found = findings(&[Source::planted("payments/tests/sim/long.rs", text)], long);
    let seen: Vec<_> = found
        .iter()
        .map(|it| it.place.rsplit(':').next().unwrap())
        .collect();
    assert_eq!(seen, ["1", "2", "4"], "{found:?}");
}
