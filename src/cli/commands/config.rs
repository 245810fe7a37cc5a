//! `footbridge config`.

use crate::cli::Session;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;

/// Prints every key with its value and where that was said.
pub(crate) fn run(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let settings = session.settings()?;
    let list = settings.list();
    if session.json {
        for listed in &list {
            session.print_json(listed)?;
        }
        return Ok(Exit::Done);
    }
    match &settings.file {
        Some(file) => writeln!(
            session.out,
            "# {}",
            Clean::line(&file.display().to_string())
        )?,
        None => writeln!(session.out, "# no configuration file")?,
    }
    for listed in list {
        let value = listed.value.as_deref().unwrap_or("-");
        let (value, origin) = (Clean::line(value), Clean::line(&listed.origin));
        writeln!(session.out, "{:<25}{value}  ({origin})", listed.key)?;
    }
    Ok(Exit::Done)
}
