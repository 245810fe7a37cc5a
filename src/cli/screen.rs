//! What stdout can show: how wide it is, and whether it can show bold.

use crate::cli::text::MARK_BEGIN;
use crate::cli::text::MARK_END;

/// Columns where stdout is no terminal, and at most where it is one: longer lines are hard to read.
const COLUMNS: usize = 100;

/// Columns at least: below, wrapping would leave a word a line.
const LEAST_COLUMNS: usize = 40;

/// Where the answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns to wrap at.
    pub columns: usize,
    bold: bool,
}

impl Screen {
    /// A screen of so many columns; zero means that nobody knows.
    pub fn new(columns: usize, bold: bool) -> Self {
        let columns = if columns == 0 { COLUMNS } else { columns };
        Self {
            columns: columns.clamp(LEAST_COLUMNS, COLUMNS),
            bold,
        }
    }

    /// Makes the marks of [`Clean::marked`] visible: bold, or brackets where bold cannot be shown.
    ///
    /// [`Clean::marked`]: crate::cli::text::Clean::marked
    pub fn show_marks(self, text: &str) -> String {
        let (begin, end) = if self.bold {
            ("\u{1b}[1m", "\u{1b}[0m")
        } else {
            ("[", "]")
        };
        text.replace(MARK_BEGIN, begin).replace(MARK_END, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_stays_readable() {
        let columns = [0, 10, 72, 300].map(|columns| Screen::new(columns, false).columns);

        assert_eq!(columns, [100, 40, 72, 100]);
    }

    #[test]
    fn a_hit_is_marked_without_bold_too() {
        let text = format!("a {MARK_BEGIN}word{MARK_END}");

        let marks = [true, false].map(|bold| Screen::new(80, bold).show_marks(&text));

        assert_eq!(marks, ["a \u{1b}[1mword\u{1b}[0m", "a [word]"]);
    }
}
