//! Where things are shown: data on standard output, progress and errors on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use warren_daemon::api::types::Document;
use warren_daemon::error::{ErrorCode, Problem};

use crate::page::Page;

/// The two outputs of this process.
#[derive(Debug)]
pub struct Screen {
    json: bool,
    quiet: bool,
    spinner: Option<ProgressBar>,
}

impl Screen {
    /// `json`: answers and errors are JSON documents, and there is no progress. `quiet`: no progress.
    #[must_use]
    pub fn new(json: Form, quiet: bool) -> Self {
        Self {
            json: json == Form::Json,
            quiet: quiet || json == Form::Json,
            spinner: None,
        }
    }

    /// Shows the answer; returns with what the process ends.
    pub fn answer(&mut self, page: &Page) -> u8 {
        match cut(self.line(page)) {
            Some(problem) => self.problem(&problem),
            None => page.exit(),
        }
    }

    /// Shows one of many answers, at once, in a line of its own.
    ///
    /// # Errors
    /// What the system said; a reader that went away is [`io::ErrorKind::BrokenPipe`].
    pub fn line(&mut self, page: &Page) -> io::Result<()> {
        self.rest();
        let text = if self.json {
            page.json() + "\n"
        } else {
            page.text()
        };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    }

    /// Shows an error; returns with what the process ends.
    pub fn problem(&mut self, problem: &Problem) -> u8 {
        self.rest();
        let text = if self.json {
            serde_json::to_string(&Document::of(problem.clone())).unwrap_or_default()
        } else {
            format!(
                "{} {}\n  seen   {}\n  fix    {}\n  more   warren help {}",
                problem.code, problem.meaning, problem.seen, problem.next, problem.code
            )
        };
        let _ = writeln!(io::stderr().lock(), "{text}");
        problem.exit_code
    }

    /// Says what is going on, until the next thing is said: a spinner on a terminal, nothing elsewhere.
    pub fn doing(&mut self, text: &str) {
        if self.quiet || !io::stderr().is_terminal() {
            return;
        }
        let spinner = self.spinner.get_or_insert_with(|| {
            let it = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
                it.set_style(style);
            }
            it.enable_steady_tick(Duration::from_millis(120));
            it
        });
        spinner.set_message(text.to_owned());
    }

    /// Says that something is done, in a line that stays.
    pub fn done(&mut self, text: &str) {
        self.rest();
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "✓ {text}");
        }
    }

    /// Asks a person a question; `None` when nobody sits there.
    #[must_use]
    pub fn ask(&mut self, question: &str) -> Option<String> {
        self.rest();
        if self.json || !io::stdin().is_terminal() {
            return None;
        }
        let mut err = io::stderr().lock();
        write!(err, "{question} ").and_then(|()| err.flush()).ok()?;
        let mut line = String::new();
        io::stdin().read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }

    fn rest(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}

/// What is wrong with an answer that was not written in full. `None` for a reader that went away (`| head`): that is no
/// error of ours.
pub(crate) fn cut(written: io::Result<()>) -> Option<Problem> {
    let error = written.err()?;
    if error.kind() == io::ErrorKind::BrokenPipe {
        return None;
    }
    let seen = format!("the answer could not be written in full to standard output: {error}");
    let next = "free space where the answer goes to, and ask again";
    Some(Problem::new(ErrorCode::FileUnusable, seen).with_next(next))
}

/// For whom answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}
