//! What an archive takes on the disk, and for what.

use std::fmt;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use footbridge::base::time::SystemClock;
use footbridge::store::Absent;
use footbridge::store::Store;
use footbridge::store::TableSize;

use crate::Trouble;

/// The unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// A file, and what is in it.
pub(crate) struct Size {
    file_bytes: u64,
    messages: u64,
    tables: Vec<TableSize>,
}

impl Size {
    /// Measures a file that is closed.
    pub(crate) fn measure(data: &Path) -> Result<Self, Trouble> {
        let file_bytes = fs::metadata(data)?.blocks() * BLOCK_BYTES;
        let snapshot = Store::open(data, Absent::Refuse, Arc::new(SystemClock))?.snapshot()?;
        Ok(Self {
            file_bytes,
            messages: snapshot.message_count()?,
            tables: snapshot.table_sizes()?,
        })
    }

    fn payload_bytes(&self) -> u64 {
        let payload = self.tables.iter().filter(|table| table.is_payload);
        payload.map(|table| table.value_bytes).sum()
    }

    /// The file's size against what is stored in it.
    pub(crate) fn ratio(&self) -> f64 {
        self.file_bytes as f64 / self.payload_bytes() as f64
    }

    /// Where the bytes are.
    pub(crate) fn by_table(&self) -> String {
        let mut text =
            String::from("| table | rows | keys | values | pages |\n|---|--:|--:|--:|--:|\n");
        let mut tables: Vec<&TableSize> = self.tables.iter().collect();
        tables.sort_by_key(|table| std::cmp::Reverse(table.page_bytes));
        for table in tables.iter().filter(|table| table.page_bytes >= 1_000_000) {
            let [keys, values, pages] =
                [table.key_bytes, table.value_bytes, table.page_bytes].map(megabytes);
            let (name, rows) = (table.name, table.rows);
            let star = if table.is_payload { " *" } else { "" };
            let written = writeln!(
                text,
                "| {name}{star} | {rows} | {keys} | {values} | {pages} |"
            );
            written.unwrap_or_default();
        }
        let in_use: u64 = tables.iter().map(|table| table.page_bytes).sum();
        let rest = self.file_bytes.saturating_sub(in_use);
        text + &format!(
            "\nThe values of tables with * are the payload. {} of the file are not in use by any table.",
            megabytes(rest)
        )
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [file, payload] = [self.file_bytes, self.payload_bytes()].map(megabytes);
        write!(f, "{file} for {payload} of {} messages", self.messages)
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
