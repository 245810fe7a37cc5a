//! What was stored, in sentences.

use crate::app::import::Tally;
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
    if tally.changed > 0 {
        let reasons = [
            (tally.edited, "edited or unsent"),
            (tally.receipts, "sent, delivered or read"),
            (tally.moved, "in another conversation"),
            (tally.deleted, "deleted or restored"),
            (tally.attachments, "with other files"),
        ];
        let reasons: Vec<String> = reasons
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, reason)| format!("{} {reason}", crate::cli::numbers::count(*count)))
            .collect();
        let mut line = format!("changed: {}", counted(tally.changed, "message"));
        if !reasons.is_empty() {
            line = format!("{line} ({})", reasons.join(", "));
        }
        lines.push(line);
    }
    let around = listed(&[
        (tally.changed_conversations, "conversation"),
        (tally.contacts, "card"),
    ]);
    lines.extend(around.map(|around| format!("new or changed: {around} of the address book")));
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
