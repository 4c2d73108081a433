//! What every rule needs: the sources of the house, and a way to say what is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = ["target", "node_modules", ".git", "artifacts", "corpus"];

/// One file, by its path from the root of the repository.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// A made-up file, for planting violations.
    pub(crate) fn planted(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// One violation: where, and what was seen there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) place: String,
    pub(crate) seen: String,
}

impl Finding {
    pub(crate) fn new(place: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            seen: seen.into(),
        }
    }
}

/// Fails with every finding and the remedy, unless there are none.
#[track_caller]
pub(crate) fn demand_none(findings: &[Finding], remedy: &str) {
    let list: String = findings
        .iter()
        .map(|it| format!("\n  {}: {}", it.place, it.seen))
        .collect();
    assert!(
        findings.is_empty(),
        "{} finding(s):{list}\n\nremedy: {remedy}\n",
        findings.len()
    );
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root")
        .to_owned()
}

/// Every file of the house with one of these extensions, in order of path.
pub(crate) fn sources(extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root(), &mut |path| {
        let extension = path
            .extension()
            .and_then(|it| it.to_str())
            .unwrap_or_default();
        if extensions.contains(&extension) {
            let name = path
                .strip_prefix(root())
                .expect("under the root")
                .display()
                .to_string();
            let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"));
            found.push(Source { path: name, text });
        }
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder of the house can be listed") {
        let path = entry.expect("an entry can be read").path();
        let name = path
            .file_name()
            .and_then(|it| it.to_str())
            .unwrap_or_default();
        if path.is_symlink() || SKIPPED.contains(&name) {
            continue;
        }
        if path.is_dir() {
            walk(&path, visit);
        } else {
            visit(&path);
        }
    }
}

/// What `cargo metadata` says about the workspace's own packages. Needs no network.
pub(crate) fn packages() -> Vec<serde_json::Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = std::process::Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    match metadata["packages"].take() {
        serde_json::Value::Array(packages) => packages,
        other => panic!("packages is not a list: {other}"),
    }
}

/// The code alone: comments and string literals become blanks, lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => after(bytes, at + 2, b"*/"),
            b'"' => string_end(bytes, at),
            b'r' if starts_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at + 1),
            b'\'' if bytes[at..].starts_with(b"'\"'") => at + 3,
            b'\'' if bytes[at..].starts_with(b"'\\") => after(bytes, at + 3, b"'"),
            _ => at + 1,
        };
        if end > at + 1 {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("blanks replace whole literals, so the text stays UTF-8")
}

/// The code up to its unit tests: from `#[cfg(test)]` before a `mod` on, tests follow.
pub(crate) fn before_tests(code: &str) -> &str {
    code.match_indices("#[cfg(test)]")
        .find(|(at, mark)| code[at + mark.len()..].trim_start().starts_with("mod "))
        .map_or(code, |(at, _)| &code[..at])
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|it| *it == b'\n')
        .map_or(bytes.len(), |n| at + n)
}

fn after(bytes: &[u8], from: usize, mark: &[u8]) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(mark.len())
        .position(|it| it == mark)
        .map_or(bytes.len(), |n| from + n + mark.len())
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

fn starts_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|it| **it == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut mark = vec![b'"'];
    mark.resize(hashes + 1, b'#');
    Some(after(bytes, at + 2 + hashes, &mark))
}

#[test]
fn code_is_told_from_comments_and_strings() {
    let text =
        "let a = \"tokio\"; // tokio\nlet b = r#\"to\"kio\"#; /* tokio */ let c = '\"'; go()";
    let code = code_only(text);
    assert!(!code.contains("tokio") && !code.contains("kio"), "{code}");
    assert!(code.contains("let c =") && code.ends_with("go()"), "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn unit_tests_are_told_from_code() {
    let code = "#[cfg(test)]\nuse x;\nfn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }";
    assert!(before_tests(code).contains("fn a") && !before_tests(code).contains("fn b"));
}

#[test]
fn the_house_is_found() {
    assert!(
        sources(&["rs"])
            .iter()
            .any(|it| it.path == "tests/tidy/house.rs")
    );
    assert!(packages().iter().any(|it| it["name"] == "warren-tests"));
}
