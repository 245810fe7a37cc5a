//! `footbridge check`.

use crate::app::check::State;
use crate::app::check::Surroundings;
use crate::base::time::SystemClock;
use crate::cli::Session;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;

/// Prints one line for each thing that was looked at; exit code 3 when the owner must act.
pub(crate) fn run(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let settings = session.settings()?;
    let around = Surroundings::of(&settings);

    let findings = crate::app::check::check(&around, &SystemClock);

    for finding in &findings {
        if session.json {
            session.print_json(finding)?;
            continue;
        }
        let state = match finding.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        let detail = Clean::line(&finding.detail);
        writeln!(session.out, "{state:<5} {:<9} {detail}", finding.check)?;
        let mut label = "hint: ";
        for line in finding.hint.iter().flat_map(|hint| hint.lines()) {
            writeln!(session.out, "{:16}{label}{}", "", Clean::line(line))?;
            label = "      ";
        }
    }
    let failed = findings.iter().any(|finding| finding.state == State::Fail);
    Ok(if failed { Exit::Owner } else { Exit::Done })
}
