//! Tables of text.

use crate::console::{Console, Style};
use crate::text;

/// Rows under a heading; columns as wide as they need to be, two spaces between them.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heading: &[&'static str]) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. What it says is made plain, for it comes from guests and from other callers.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| text::plain(cell)).collect());
    }

    pub(crate) fn render(&self, console: &Console) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.heading[column].len()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.heading.len()).map(width).collect();
        let line = |cells: &[&str]| {
            let cells =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut text = console.paint(Style::Bold, &line(&self.heading)) + "\n";
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            text += &(line(&cells) + "\n");
        }
        text
    }
}

/// Names and values, one pair a line.
pub(crate) fn facts(console: &Console, facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    facts
        .iter()
        .map(|(name, value)| {
            format!("{}  {}\n", console.paint(Style::Dim, &format!("{name:<width$}")), text::plain(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(color: bool) -> Console {
        Console { json: false, quiet: false, color }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["ID", "MODULE", "MEM"]);
        table.row(["ses-1".into(), "caf\u{e9}".into(), "1.2 MiB".into()]);
        table.row(["ses-22".into(), "m\x1b[2J".into(), String::new()]);
        let expected = "ID      MODULE  MEM\nses-1   caf\u{e9}    1.2 MiB\nses-22  m\u{fffd}[2J\n";
        assert_eq!(table.render(&console(false)), expected);
        assert!(table.render(&console(true)).starts_with("\x1b[1mID"));
    }

    #[test]
    fn facts_are_aligned() {
        let pairs = [("id", "x".to_owned()), ("module", "y".to_owned())];
        assert_eq!(facts(&console(false), &pairs), "id      x\nmodule  y\n");
    }
}
