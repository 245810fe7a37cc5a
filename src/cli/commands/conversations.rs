//! `footbridge conversations`.

use std::collections::BTreeMap;

use crate::app::conversations::Listed;
use crate::cli::Session;
use crate::cli::args::ConversationsArgs;
use crate::cli::days::Calendar;
use crate::cli::numbers::count;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;
use crate::cli::text::wrap;

/// Prints a line for each conversation: its last day, how many messages, its title; its key where others have that
/// title too.
pub(crate) fn run(args: &ConversationsArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let conversations = session.archive()?.conversations(!args.unmerged)?;
    if session.json {
        for listed in &conversations {
            session.print_json(listed)?;
        }
        return Ok(Exit::Done);
    }
    let mut titles: BTreeMap<&str, usize> = BTreeMap::new();
    for listed in &conversations {
        *titles.entry(&listed.title).or_default() += 1;
    }
    let calendar = Calendar::system();
    let columns = session.screen().columns;
    let mut out = String::new();
    for listed in &conversations {
        let day = match listed.last {
            Some(last) => calendar.day(last).to_string(),
            None => "-".to_owned(),
        };
        let lead = format!("{day:<10} {:>9}  ", count(listed.messages));
        let is_alone = titles.get(listed.title.as_str()) == Some(&1);
        wrap(
            &mut out,
            &lead,
            &Clean::line(&named(listed, is_alone)),
            columns,
        );
    }
    session.out.write_all(out.as_bytes())?;
    Ok(Exit::Done)
}

/// The title, with what tells it from others.
fn named(listed: &Listed, is_alone: bool) -> String {
    let mut notes = Vec::new();
    if listed.kind == "group" {
        let people = listed.members.len() + 1;
        notes.push(format!("{people} people"));
    }
    notes.extend(listed.filed.map(str::to_owned));
    notes.extend(listed.deleted.map(|_| "deleted".to_owned()));
    if !is_alone {
        notes.push(listed.key.clone());
    }
    match notes.as_slice() {
        [] => listed.title.clone(),
        notes => format!("{} ({})", listed.title, notes.join(", ")),
    }
}
