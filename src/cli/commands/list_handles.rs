//! `footbridge list-handles`.

use crate::cli::Session;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;
use crate::cli::text::wrap;

/// Columns that an address may take before what follows is no longer aligned.
const WIDEST: usize = 36;

/// Prints a line for each address: its normal form, name, services, and whether it is the owner's.
pub(crate) fn run(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let handles = session.archive()?.handles()?;
    let columns = session.screen().columns;
    let widest = handles
        .iter()
        .map(|known| known.handle.chars().count())
        .max();
    let widest = widest.unwrap_or(0).min(WIDEST);
    for known in &handles {
        if session.json {
            session.print_json(known)?;
            continue;
        }
        let mut about: Vec<&str> = known.name.iter().map(String::as_str).collect();
        if known.own {
            about.push("(you)");
        }
        let services = known.services.join(", ");
        let services = format!("({services})");
        if !known.services.is_empty() {
            about.push(&services);
        }
        let mut out = String::new();
        let lead = format!("{:<widest$}  ", Clean::line(&known.handle));
        wrap(&mut out, &lead, &Clean::line(&about.join(" ")), columns);
        session.out.write_all(out.as_bytes())?;
    }
    Ok(Exit::Done)
}
