//! What happens when the program panics: a short notice and exit code 70, or what is said of a damaged archive where the
//! panic is redb's about damaged pages. It is never caught to carry on.

use std::backtrace::Backtrace;
use std::backtrace::BacktraceStatus;
use std::io::Write;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::panic::PanicHookInfo;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::app::archive::damage_behind_panic;
use crate::cli::report;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

/// Where the latest panic was, on whatever thread.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Runs the program; a panic that nobody turned into an error ends it with a notice.
///
/// The hook only remembers: the store catches redb's panics about damaged pages and answers with an error, and those
/// must not look like a bug of ours. The notice names the place alone, because the text of a panic can quote a message.
pub(crate) fn guard(err: &mut dyn Write, run: impl FnOnce() -> Exit) -> Exit {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(remember));
    let exit = panic::catch_unwind(AssertUnwindSafe(run));
    panic::set_hook(previous);
    exit.unwrap_or_else(|_payload| told(err))
}

/// Runs a part of the program whose panic is its own: it gets the notice, the rest goes on. Within [`guard`].
pub(crate) fn contain(err: &mut dyn Write, run: impl FnOnce() -> Exit) -> Exit {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_payload| told(err))
}

fn told(err: &mut dyn Write) -> Exit {
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let place = place.as_deref().unwrap_or("an unknown place");
    let file = place.lines().next().unwrap_or_default();
    if let Some(damage) = damage_behind_panic(file) {
        return report::failure(err, &Failure::from(damage));
    }
    notice(err, place);
    Exit::Bug
}

fn remember(panic: &PanicHookInfo<'_>) {
    let mut place = match panic.location() {
        Some(location) => location.to_string(),
        None => "an unknown place".to_owned(),
    };
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        place = format!("{place}\n{trace}");
    }
    *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
}

fn notice(err: &mut dyn Write, place: &str) {
    let version = env!("CARGO_PKG_VERSION");
    // Nothing is left to do when even stderr is gone.
    drop(write!(
        err,
        "error: this is a bug in footbridge {version}: it panicked at {place}\n\
         \n\
         hint: nothing that was committed is lost; run the command again\n      \
         and report the line above together with the command you ran\n      \
         (`RUST_BACKTRACE=1` adds where it came from)\n"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hook is the whole process's: one test at a time.
    static HOOK: Mutex<()> = Mutex::new(());

    #[test]
    fn a_panic_becomes_a_notice_without_its_text() {
        let _alone = HOOK.lock().unwrap();
        let mut err = Vec::new();

        let exit = guard(&mut err, || panic!("somebody's message"));

        let notice = String::from_utf8(err).unwrap();
        assert_eq!(exit, Exit::Bug);
        assert!(
            notice.contains("it panicked at src/cli/bug.rs:"),
            "{notice}"
        );
        assert!(!notice.contains("somebody"), "{notice}");
    }

    #[test]
    fn a_panic_of_redb_is_a_damaged_archive() {
        let _alone = HOOK.lock().unwrap();
        let mut err = Vec::new();
        let place = "/home/o/.cargo/registry/src/index/redb-4.4.0/src/tree_store/btree.rs:226:18";

        let exit = guard(&mut err, || {
            *PLACE.lock().unwrap() = Some(place.to_owned());
            panic::resume_unwind(Box::new("without the hook"))
        });

        let notice = String::from_utf8(err).unwrap();
        assert_eq!(exit, Exit::Store);
        assert!(
            notice.starts_with("error: the archive is damaged"),
            "{notice}"
        );
        assert!(notice.contains("footbridge verify"), "{notice}");
    }

    #[test]
    fn without_a_panic_nothing_is_said() {
        let _alone = HOOK.lock().unwrap();
        let mut err = Vec::new();

        let exit = guard(&mut err, || Exit::Owner);

        assert_eq!(exit, Exit::Owner);
        assert!(err.is_empty());
    }
}
