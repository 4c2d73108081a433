//! Arguments: a role, then pairs of `--name value`.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

/// What the program was asked to be.
#[derive(Debug)]
pub(crate) struct Args {
    role: String,
    named: HashMap<String, String>,
}

impl Args {
    pub(crate) fn read() -> Self {
        let mut words = std::env::args().skip(1);
        let role = words.next().unwrap_or_default();
        let mut named = HashMap::new();
        while let Some(name) = words.next() {
            let value = words.next().expect("a value after each --name");
            named.insert(name.trim_start_matches("--").to_owned(), value);
        }
        Self { role, named }
    }

    pub(crate) fn role(&self) -> &str {
        &self.role
    }

    pub(crate) fn text(&self, name: &str, default: &str) -> String {
        self.named
            .get(name)
            .cloned()
            .unwrap_or_else(|| default.to_owned())
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> T {
        let Some(text) = self.named.get(name) else {
            return default;
        };
        let number = text.parse().ok();
        number.unwrap_or_else(|| panic!("--{name} {text}: not a number"))
    }

    pub(crate) fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(self.number(name, 0))
    }

    /// Switches are on unless they are said to be off.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.text(name, "on") != "off"
    }
}
