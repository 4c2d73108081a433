//! What a verb shows: one sentence first, a table second, the next step last; or the same as one JSON document.
//!
//! Sans-IO.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use warren_daemon::api::types::{Document, Schema};
use warren_daemon::error::{ExitCode, Problem};

use crate::table::Table;

/// The answer of a verb, for people and for programs.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    json: Value,
    sentence: String,
    body: String,
    next: Vec<String>,
    exit: u8,
    verbatim: bool,
}

impl Page {
    /// Begins with what programs get and the sentence that people get.
    #[must_use]
    pub fn of<T: Schema + Serialize + Clone>(body: &T, sentence: impl Into<String>) -> Self {
        Self::raw(
            serde_json::to_value(Document::of(body.clone())).unwrap_or(Value::Null), // Our own types always serialise.
            sentence,
        )
    }

    /// The same for a document that is no type of the API.
    #[must_use]
    pub fn raw(json: Value, sentence: impl Into<String>) -> Self {
        Self {
            json,
            sentence: sentence.into(),
            body: String::new(),
            next: Vec::new(),
            exit: 0,
            verbatim: false,
        }
    }

    /// Adds a table.
    #[must_use]
    pub fn table(mut self, table: &Table) -> Self {
        self.body.push_str(&table.to_string());
        self
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, line: impl AsRef<str>) -> Self {
        self.body.push_str(line.as_ref());
        self.body.push('\n');
        self
    }

    /// Adds what is not as it should be, and what mends it.
    #[must_use]
    pub fn warn(self, it: &Problem) -> Self {
        self.line(format!("! {} {}: {}", it.code, it.meaning, it.seen))
            .line(format!("  fix  {}", it.next))
    }

    /// Adds a step to take next, once.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        let step = step.into();
        if !self.next.contains(&step) {
            self.next.push(step);
        }
        self
    }

    /// The sentence is a whole text of its own, such as a file's: nothing is added to it.
    #[must_use]
    pub fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }

    /// Ends the process with this number although there is an answer.
    #[must_use]
    pub fn ends_with(mut self, exit: ExitCode) -> Self {
        self.exit = exit.number();
        self
    }

    /// The same for an end that is no error of ours, such as an interrupt.
    #[must_use]
    pub fn ends_with_number(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// With what the process ends.
    #[must_use]
    pub fn exit(&self) -> u8 {
        self.exit
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> String {
        self.json.to_string()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.sentence.clone();
        if self.verbatim {
            return text;
        }
        text.push('\n');
        if !self.body.is_empty() {
            text.push_str(&self.body);
        }
        if !self.next.is_empty() {
            let _ = writeln!(text, "Next: {}", self.next.join(" · ")); // Writing to a String cannot fail.
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_sentence_first_and_the_next_step_last() {
        let mut table = Table::new(&["A", "B"]);
        table.row(["1", "2"]);
        let page = Page::raw(serde_json::json!({"schema": "x"}), "Two things.")
            .table(&table)
            .next("warren up")
            .next("warren up");
        assert_eq!(
            page.text(),
            "Two things.\n  A  B\n  1  2\nNext: warren up\n"
        );
        assert_eq!(page.json(), r#"{"schema":"x"}"#);
    }
}
