//! What the service says in the owner's notice room: the little of all that happens that somebody who is not looking
//! wants to know.
//!
//! | event | is said |
//! |---|---|
//! | the first import begins, and is done | once each, the end with what came |
//! | a source cannot be read | at once if only the owner can help, else when it fails again and again |
//! | it can be read again | after a failure that was said |

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::app::service::run::Event;
use crate::app::service::run::Tell;
use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::limits::FAILURES_BEFORE_NOTICE;
use crate::base::tasks::TaskGroup;
use crate::deliver::endpoint::NoticeKind;
use crate::deliver::endpoint::Notices;
use crate::model::record::SourceKind;
use crate::store::Tally;

/// The same as `tell`, which also says things in the notice room. Nobody waits for that. `is_first` says that the archive
/// has nothing yet.
///
/// Each source has one of its own, which hears nothing of the others.
pub(super) fn noticing(
    tell: Tell,
    source: SourceKind,
    is_first: bool,
    notices: Notices,
    group: &TaskGroup,
) -> Tell {
    let (said, mut heard) = mpsc::unbounded_channel::<Notice>();
    let stop = group.stop().clone();
    group.spawn("notices", async move {
        while let Some(Some((kind, text))) = stop.run_until_cancelled(heard.recv()).await {
            let notices = notices.clone();
            let said = spawn_blocking(move || notices.say(kind, &text));
            if said.await.is_err() {
                tracing::error!("saying a notice panicked");
            }
        }
    });
    let mind = Mutex::new(Mind {
        source,
        first: First::of(is_first),
        failures: 0,
        has_complained: false,
    });
    Arc::new(move |event| {
        let mut mind = mind.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notice) = mind.hear(event) {
            // Whoever would write it may have stopped already.
            drop(said.send(notice));
        }
        drop(mind);
        tell(event);
    })
}

type Notice = (NoticeKind, String);

/// What was said so far.
struct Mind {
    source: SourceKind,
    first: First,
    /// In a row.
    failures: u32,
    has_complained: bool,
}

/// How far the first import is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Expected,
    Begun,
    /// Or there was one before.
    Done,
}

impl First {
    const fn of(is_first: bool) -> Self {
        if is_first { Self::Expected } else { Self::Done }
    }
}

impl Mind {
    fn hear(&mut self, event: &Event<'_>) -> Option<Notice> {
        match event {
            Event::Progress(_) | Event::CloudPage(_) if self.first == First::Expected => {
                self.first = First::Begun;
                let text = "The first import begins. Conversations appear when it is done.";
                Some((NoticeKind::Import, text.to_owned()))
            }
            Event::Passed(import) => self.pass(&import.tally),
            Event::CloudPassed(report) => self.pass(&report.tally),
            Event::Failed(_, error) => self.fail(*error),
            Event::Serving(_) | Event::Progress(_) | Event::CloudPage(_) | Event::Stopping => None,
        }
    }

    /// What it is called at the beginning of a sentence.
    const fn name(&self) -> &'static str {
        match self.source {
            SourceKind::ChatDb => "The Messages database",
            SourceKind::CloudKit => "Messages in iCloud",
        }
    }

    fn pass(&mut self, tally: &Tally) -> Option<Notice> {
        self.failures = 0;
        if std::mem::take(&mut self.has_complained) {
            let text = format!("{} is read again.", self.name());
            return Some((NoticeKind::Source, text));
        }
        let first = std::mem::replace(&mut self.first, First::Done);
        (first != First::Done).then(|| {
            let text = format!(
                "The first import is done: {} messages in {} conversations.",
                tally.new_messages, tally.new_conversations
            );
            (NoticeKind::Import, text)
        })
    }

    fn fail(&mut self, error: &dyn Explain) -> Option<Notice> {
        self.failures += 1;
        let kind = match error.class() {
            Class::Owner | Class::Usage => NoticeKind::Owner,
            Class::Retry | Class::Store => NoticeKind::Source,
        };
        if kind == NoticeKind::Source && self.failures < FAILURES_BEFORE_NOTICE {
            return None;
        }
        self.has_complained = true;
        let mut text = format!("{} cannot be read: {error}.", self.name());
        if let Some(hint) = error.hint() {
            text.push('\n');
            text.push_str(&hint);
        }
        Some((kind, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::cloudkit::PassError;
    use crate::ingest::Import;
    use crate::ingest::IngestError;
    use crate::ingest::Phase;
    use crate::ingest::Progress;

    fn mind(is_first: bool) -> Mind {
        Mind {
            source: SourceKind::ChatDb,
            first: First::of(is_first),
            failures: 0,
            has_complained: false,
        }
    }

    fn progress() -> Event<'static> {
        Event::Progress(Progress {
            phase: Phase::Reading,
            done: 1,
            total: 2,
        })
    }

    fn import() -> Import {
        Import {
            tally: Tally {
                new_messages: 7,
                new_conversations: 2,
                ..Tally::default()
            },
            unchanged: false,
            resumed: false,
            warnings: Vec::new(),
            last_rowid: None,
        }
    }

    #[test]
    fn the_first_import_is_told_and_no_other() {
        let (mut mind, import) = (mind(true), import());

        let begun = mind.hear(&progress()).unwrap();
        let quiet = mind.hear(&progress());
        let done = mind.hear(&Event::Passed(&import)).unwrap();
        let later = [mind.hear(&progress()), mind.hear(&Event::Passed(&import))];

        assert_eq!(begun.0, NoticeKind::Import);
        assert!(
            done.1.contains("7 messages in 2 conversations"),
            "{}",
            done.1
        );
        assert!(quiet.is_none() && later.iter().all(Option::is_none));
    }

    #[test]
    fn what_passes_by_itself_is_told_when_it_does_not() {
        let (mut mind, import, error) = (mind(false), import(), IngestError::Stopped);
        let failed = Event::Failed(SourceKind::ChatDb, &error);

        assert!(mind.hear(&failed).is_none());
        assert!(mind.hear(&Event::Passed(&import)).is_none());
        let last = (0..FAILURES_BEFORE_NOTICE).filter_map(|_| mind.hear(&failed));
        assert_eq!(last.count(), 1);
        let again = mind.hear(&Event::Passed(&import)).unwrap();
        assert_eq!(again.0, NoticeKind::Source);
        assert!(mind.hear(&Event::Passed(&import)).is_none());
    }
    #[test]
    fn a_session_that_has_expired_is_told_at_once() {
        let mut mind = Mind {
            source: SourceKind::CloudKit,
            ..mind(false)
        };

        let said = mind.hear(&Event::Failed(SourceKind::CloudKit, &PassError::Blocked));

        let (kind, text) = said.unwrap();
        assert_eq!(kind, NoticeKind::Owner);
        assert!(
            text.starts_with("Messages in iCloud cannot be read: "),
            "{text}"
        );
        assert!(text.contains("footbridge cloudkit import"), "{text}");
    }
}
