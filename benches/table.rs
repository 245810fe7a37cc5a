//! The answer: a row for each target, as Markdown.

use std::fmt;

/// What a row must reach and should reach.
pub(crate) struct Target {
    pub(crate) what: &'static str,
    pub(crate) unit: Unit,
    pub(crate) must: f64,
    pub(crate) aim: f64,
}

/// What a target is measured in.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// A ratio.
    Times,
    Mebibytes,
    Milliseconds,
    Microseconds,
    /// The more the better; of all others the less.
    RecordsPerSecond,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Times => format!("{value:.2}x"),
            Self::Mebibytes => format!("{value:.0} MiB"),
            Self::Milliseconds => format!("{value:.0} ms"),
            Self::Microseconds => format!("{value:.1} us"),
            Self::RecordsPerSecond => format!("{value:.0}/s"),
        }
    }

    fn reaches(self, value: f64, bound: f64) -> bool {
        match self {
            Self::RecordsPerSecond => value >= bound,
            Self::Times | Self::Mebibytes | Self::Milliseconds | Self::Microseconds => {
                value <= bound
            }
        }
    }
}

/// One target, and what was measured.
pub(crate) struct Row {
    target: &'static Target,
    value: Option<f64>,
    detail: String,
}

impl Row {
    pub(crate) fn measured(target: &'static Target, value: f64, detail: String) -> Self {
        Self {
            target,
            value: Some(value),
            detail,
        }
    }

    pub(crate) fn not_measured(target: &'static Target, detail: String) -> Self {
        Self {
            target,
            value: None,
            detail,
        }
    }

    fn verdict(&self) -> &'static str {
        let unit = self.target.unit;
        match self.value {
            Some(value) if unit.reaches(value, self.target.aim) => "aim met",
            Some(value) if unit.reaches(value, self.target.must) => "must met",
            Some(_short) => "MISSED",
            None => "not measured",
        }
    }
}

/// All rows, and what else is worth knowing.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | must | aim | measured | verdict | how |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let unit = row.target.unit;
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} |",
                row.target.what,
                unit.text(row.target.must),
                unit.text(row.target.aim),
                row.value.map_or("-".to_owned(), |value| unit.text(value)),
                row.verdict(),
                row.detail,
            )?;
        }
        for note in &self.notes {
            write!(f, "\n{note}\n")?;
        }
        Ok(())
    }
}
