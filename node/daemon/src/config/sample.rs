//! A configuration file that says everything and changes nothing: each key with its meaning and
//! default, commented out.

use std::fmt::Write as _;

use super::keys::{KEYS, Key, Kind};

/// Writes the file that `warren config init` puts down.
#[must_use]
pub fn sample() -> String {
    let mut text =
        "# Warren. Uncomment what you change; `warren config explain KEY` says more.\n".to_owned();
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n[{section}]");
        }
        let _ = writeln!(text, "# {}\n# {name} = {}", key.meaning, literal(key));
    }
    text
}

/// The default as TOML.
fn literal(key: &Key) -> String {
    let quoted = |it: &str| format!("\"{it}\"");
    match key.kind {
        Kind::Switch | Kind::Count { .. } => key.default.to_owned(),
        Kind::Text | Kind::Money | Kind::OneOf(_) | Kind::Address => quoted(key.default),
        Kind::Texts => {
            let items = key
                .default
                .split(',')
                .filter(|it| !it.is_empty())
                .map(quoted);
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
    }
}
