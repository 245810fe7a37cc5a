//! What was stored, in sentences.

use crate::app::import::Tally;
use crate::cli::numbers::count;
use crate::cli::numbers::counted;

/// A line for what is new, one for what changed, one for what needs a look; none if nothing is different.
pub(super) fn told(tally: &Tally) -> Vec<String> {
    let mut lines = Vec::new();
    let new = listed(&[
        (tally.new_messages, "message"),
        (tally.new_tapbacks, "tapback"),
        (tally.new_announcements, "announcement"),
        (tally.new_conversations, "conversation"),
    ]);
    lines.extend(new.map(|new| format!("new: {new}")));
    let reasons = [
        (tally.edited, "edited or unsent"),
        (tally.receipts, "sent, delivered or read"),
        (tally.moved, "in another conversation"),
        (tally.deleted, "deleted or restored"),
        (tally.attachments, "with other files"),
    ];
    let reasons: Vec<String> = reasons
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, reason)| format!("{} {reason}", count(*number)))
        .collect();
    let changed = listed(&[(tally.changed, "message")]).map(|changed| match reasons.as_slice() {
        [] => changed,
        reasons => format!("{changed} ({})", reasons.join(", ")),
    });
    let around = listed(&[(tally.changed_conversations, "conversation")]);
    let changed: Vec<String> = changed.into_iter().chain(around).collect();
    if !changed.is_empty() {
        lines.push(format!("changed: {}", changed.join(", ")));
    }
    if tally.contacts > 0 {
        let cards = counted(tally.contacts, "card");
        lines.push(format!("address book: {cards} new or changed"));
    }
    lines
}

/// `2 messages, 1 tapback`; `None` when all are 0.
fn listed(counts: &[(u64, &str)]) -> Option<String> {
    let listed: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| counted(*count, noun))
        .collect();
    (!listed.is_empty()).then(|| listed.join(", "))
}
