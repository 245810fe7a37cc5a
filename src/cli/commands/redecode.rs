//! `footbridge redecode`.

use std::ops::ControlFlow;

use crate::app::import::Redecode;
use crate::base::time::SystemClock;
use crate::cli::Session;
use crate::cli::args::RedecodeArgs;
use crate::cli::commands::changes;
use crate::cli::commands::import::names;
use crate::cli::progress::Phases;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

/// Decodes stored records again, and prints what is different now.
pub(crate) fn run(args: &RedecodeArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.own_archive()?;
    let which = if args.all {
        Redecode::All
    } else {
        Redecode::Outdated
    };
    let phases = Phases::new(names, &SystemClock);
    let tally = archive.redecode(which, &|now| {
        phases.set(now.phase, now.done, now.total);
        ControlFlow::Continue(())
    })?;
    drop(phases);
    if session.json {
        let counts: serde_json::Map<_, _> = tally
            .counts()
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count.into()))
            .collect();
        session.print_json(&counts)?;
        return Ok(Exit::Done);
    }
    let lines = changes::told(&tally);
    if lines.is_empty() {
        writeln!(session.out, "nothing is different")?;
    }
    for line in lines {
        writeln!(session.out, "{line}")?;
    }
    Ok(Exit::Done)
}
