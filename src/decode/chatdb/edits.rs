//! What became of a message's parts: earlier texts of edited ones, and which were taken back.

use crate::base::time::AppleTime;
use crate::codec::summary_info;
use crate::codec::summary_info::SummaryInfo;
use crate::decode::chatdb::Unreadable;
use crate::decode::chatdb::body::spans;
use crate::model::message::Edit;
use crate::model::message::Version;
use crate::model::record::MessageColumn;
use crate::model::record::Row;

const COLUMN: &str = "message_summary_info";

/// What happened to a message after it was sent.
#[derive(Default)]
pub(super) struct History {
    pub(super) edits: Vec<Edit>,
    pub(super) unsent_parts: Vec<u16>,
    pub(super) is_fully_unsent: bool,
    /// Since when the newest text stands.
    pub(super) last_at: Option<AppleTime>,
}

/// Reads the history of a row.
pub(super) fn history(row: &Row, unreadable: &mut Unreadable) -> History {
    let Some(bytes) = row.blob(MessageColumn::MessageSummaryInfo) else {
        return History::default();
    };
    match summary_info::decode(bytes) {
        Ok(info) => from_summary(&info, unreadable),
        Err(error) => {
            unreadable.add(COLUMN, error);
            History::default()
        }
    }
}

fn from_summary(info: &SummaryInfo, unreadable: &mut Unreadable) -> History {
    let mut edits = Vec::new();
    for part in info.parts.iter().filter(|part| !part.versions.is_empty()) {
        let mut versions = Vec::with_capacity(part.versions.len());
        for version in &part.versions {
            let spans = match &version.body {
                Ok(body) => spans(body),
                Err(error) => {
                    unreadable.add(
                        COLUMN,
                        format_args!("a text of part {}: {error}", part.number),
                    );
                    Vec::new()
                }
            };
            versions.push(Version {
                text: version.text().map(str::to_owned),
                at: version.at(),
                spans,
            });
        }
        edits.push(Edit {
            part: part.number,
            versions,
        });
    }
    let times = edits.iter().flat_map(|edit| &edit.versions);
    History {
        unsent_parts: info.unsent_parts().collect(),
        is_fully_unsent: info.is_fully_unsent(),
        last_at: times.filter_map(|version| version.at).max(),
        edits,
    }
}
