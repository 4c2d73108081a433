//! Finds keys by what was typed.
//!
//! Sans-IO.

use super::{KEYS, Key};

/// Finds a key by its name.
pub(in crate::config) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|it| it.name == name)
}

/// The known key that is written most like `name`.
pub(in crate::config) fn nearest(name: &str) -> &'static str {
    let best = KEYS.iter().min_by_key(|it| {
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        // The whole name counts; the last part alone breaks ties, for keys in the wrong section.
        (edits(name, it.name), edits(&last(name), &last(it.name)))
    });
    best.map_or("", |it| it.name)
}

/// Levenshtein's distance: how many letters to insert, drop or change.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in to.chars().enumerate() {
            let change = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
