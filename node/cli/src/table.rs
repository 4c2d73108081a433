//! Columns of text that line up.
//!
//! Sans-IO.

use std::fmt;

/// A table for people: no lines, two blanks between columns, as wide as its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; with none it has no heading line.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|it| (*it).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().chain([&self.head]).map(Vec::len).max();
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.head]);
            cells
                .filter_map(|it| it.get(column))
                .map(|it| it.chars().count())
                .max()
                .unwrap_or(0)
        };
        (0..columns.unwrap_or(0)).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let widths = self.widths();
        let head = (!self.head.is_empty()).then_some(&self.head);
        for row in head.into_iter().chain(&self.rows) {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(f, "  {}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_blanks_at_their_end() {
        let mut table = Table::new(&["EXIT", "WHERE"]);
        table.row(["7f3a", "DE"]);
        table.row(["exit-of-a-long-name", "Utrecht"]);
        assert_eq!(
            table.to_string(),
            "  EXIT                 WHERE\n  7f3a                 DE\n  exit-of-a-long-name  Utrecht\n"
        );
        assert_eq!(Table::new(&["EMPTY"]).to_string(), "");
    }
}
