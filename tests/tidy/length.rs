//! Length: a file one can read in one sitting.

use crate::house::{Finding, Source, demand_none, sources};

const LIMIT_LINES: usize = 400;
const REMEDY: &str = "give the second subject of the file its own file: foo.rs beside foo/, unit tests \
    to foo/tests.rs";

fn findings(sources: &[Source]) -> Vec<Finding> {
    sources
        .iter()
        .map(|it| (it, it.text.lines().count()))
        .filter(|(_, lines)| *lines >= LIMIT_LINES)
        .map(|(it, lines)| {
            Finding::new(
                &it.path,
                format!("{lines} lines, fewer than {LIMIT_LINES} wanted"),
            )
        })
        .collect()
}

#[test]
fn every_file_is_short() {
    demand_none(
        &findings(&sources(&["rs", "sol", "sh", "mjs", "js", "py", "proto"])),
        REMEDY,
    );
}

#[test]
fn a_long_file_is_caught() {
    let long = Source::planted("proto/src/long.rs", &"\n".repeat(LIMIT_LINES));
    let short = Source::planted("proto/src/short.rs", &"\n".repeat(LIMIT_LINES - 1));
    let found = findings(&[long, short]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].place, "proto/src/long.rs");
}
