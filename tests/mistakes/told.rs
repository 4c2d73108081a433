//! What the program said: its number, its data, its words.

use std::process::Output;

use serde_json::Value;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        Self {
            exit: output.status.code().expect("it ended by itself"),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// The data of an answer: one JSON document with a schema, and nothing but that.
    pub(crate) fn data(&self) -> Value {
        assert_eq!(self.exit, 0, "{self:?}");
        self.document(&self.out)
    }

    /// An error for programs: the documented code and number, as one JSON document, and no data.
    #[track_caller]
    pub(crate) fn problem(&self, exit: i32, code: &str) -> Value {
        assert_eq!(self.exit, exit, "{self:?}");
        assert!(self.out.is_empty(), "errors are no data: {self:?}");
        // A daemon's log is there too.
        let line = self.err.lines().find(|it| it.starts_with('{'));
        let problem = self.document(line.unwrap_or_else(|| panic!("no document: {self:?}")));
        assert_eq!(problem["schema"], "warren.error/v1", "{self:?}");
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["exit_code"], exit, "{self:?}");
        for part in ["seen", "meaning", "next"] {
            let text = problem[part].as_str().expect("text");
            assert!(!text.is_empty() && !text.contains('\n'), "{part}: {self:?}");
        }
        problem
    }

    /// The same error for people: code and meaning first, then what was seen, then what to do.
    #[track_caller]
    pub(crate) fn words(&self, exit: i32, code: &str) {
        assert_eq!(self.exit, exit, "{self:?}");
        assert!(self.out.is_empty(), "errors are no data: {self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        let at = lines.iter().position(|it| it.starts_with(code));
        let said = &lines[at.unwrap_or_else(|| panic!("no {code}: {self:?}"))..];
        assert!(said.len() >= 4, "{self:?}");
        for (line, begins) in said
            .iter()
            .zip([code, "  seen   ", "  fix    ", "  more   "])
        {
            assert!(
                line.len() > begins.len() && line.starts_with(begins),
                "{self:?}"
            );
        }
        assert!(!self.err.contains("panicked"), "{self:?}");
    }

    #[track_caller]
    fn document(&self, text: &str) -> Value {
        let document: Value =
            serde_json::from_str(text).unwrap_or_else(|it| panic!("{it}: {self:?}"));
        assert!(document["schema"].is_string(), "{self:?}");
        document
    }
}
