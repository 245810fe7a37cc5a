//! `footbridge search`.

use crate::app::search::Hit;
use crate::app::search::Question;
use crate::cli::Session;
use crate::cli::args::SearchArgs;
use crate::cli::args::SearchKind;
use crate::cli::days::Calendar;
use crate::cli::numbers::count;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;
use crate::cli::text::wrap;

/// Prints the newest messages with all the words: where and when, then a line around the hit.
pub(crate) fn run(args: &SearchArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let words = question(&args.words);
    let answer = session.archive()?.search(&Question {
        words: &words,
        conversation: args.conversation.as_deref(),
        from: args.from.as_deref(),
        since: args.since.map(|when| when.start),
        until: args.until.map(|when| when.end),
        kind: args.kind.map(SearchKind::name),
        limit: (args.limit > 0).then_some(args.limit),
    })?;
    let screen = session.screen();
    let calendar = Calendar::system();
    for hit in &answer.hits {
        if session.json {
            session.print_json(hit)?;
            continue;
        }
        let mut out = String::new();
        let lead = format!("{}  ", calendar.minute(hit.at));
        wrap(&mut out, &lead, &Clean::line(&place(hit)), screen.columns);
        wrap(
            &mut out,
            "    ",
            &Clean::marked(&hit.snippet, &hit.marks),
            screen.columns,
        );
        session.out.write_all(screen.show_marks(&out).as_bytes())?;
    }
    session.out.flush()?;
    let shown = answer.hits.len();
    if answer.found == 0 {
        session.note("nothing was found");
    } else if shown < answer.found {
        let found = u64::try_from(answer.found).unwrap_or(u64::MAX);
        session.note(&format!(
            "the newest {shown} of {}; `--limit 0` shows all",
            count(found)
        ));
    }
    Ok(Exit::Done)
}

/// The words as one text. What the shell gave as one argument with spaces in it was in quotes, so it is a phrase.
pub(super) fn question(words: &[String]) -> String {
    let phrase = |word: &String| {
        let is_phrase = word.trim().contains(char::is_whitespace) && !word.contains('"');
        if is_phrase {
            format!("\"{}\"", word.trim())
        } else {
            word.clone()
        }
    };
    words.iter().map(phrase).collect::<Vec<_>>().join(" ")
}

/// Who wrote it, and where.
fn place(hit: &Hit) -> String {
    match &hit.title {
        None => format!("{} (in no conversation)", hit.author),
        Some(title) if *title == hit.author => title.clone(),
        Some(title) => format!("{} in {title}", hit.author),
    }
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn what_the_shell_kept_together_is_a_phrase() {
        let words = ["see you", "dinner", "\"at home\" soon", " late "].map(str::to_owned);

        assert_eq!(
            question(&words),
            "\"see you\" dinner \"at home\" soon  late "
        );
    }
}
