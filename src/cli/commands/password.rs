//! `footbridge password`.

use crate::app::account::Sessions;
use crate::cli::Session;
use crate::cli::args::PasswordArgs;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

/// Sets the owner's password.
pub(crate) fn run(args: &PasswordArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.archive()?;
    let password = session.new_password(args.stdin)?;
    let (sessions, clients) = if args.logout {
        (Sessions::End, "every client must log in again")
    } else {
        (Sessions::Keep, "clients stay logged in")
    };
    archive.set_password(&password, sessions)?;
    if session.json {
        session.print_json(&serde_json::json!({ "logged_out": args.logout }))?;
    } else {
        writeln!(session.out, "the password is set; {clients}")?;
    }
    Ok(Exit::Done)
}
