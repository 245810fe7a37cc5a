//! `footbridge run`.

use std::collections::BTreeMap;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::app::cloudkit::zone_content;
use crate::app::import::Import;
use crate::app::import::Phase;
use crate::app::service;
use crate::app::service::Event;
use crate::app::service::Plan;
use crate::app::service::Serving;
use crate::app::settings::Flags;
use crate::app::settings::Settings;
use crate::base::secret::SecretText;
use crate::base::time::SystemClock;
use crate::cli::Session;
use crate::cli::args::RunArgs;
use crate::cli::commands::changes;
use crate::cli::commands::cloudkit;
use crate::cli::commands::import::names;
use crate::cli::progress::Phases;
use crate::cli::progress::SERVICE_LINE_EVERY;
use crate::cli::remote::CommandLine;
use crate::cli::report;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text;
use crate::cli::text::Clean;

/// Serves until it is told to stop.
pub(crate) fn run(args: &RunArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let flags = Flags {
        chat_db: args.chat_db.clone(),
        listen: args.listen.clone(),
        server_name: args.server_name.clone(),
        insecure: args.insecure,
        ..session.flags.clone()
    };
    let settings = session.settings_with(&flags)?;
    serve(settings, args.conformance, "", session)
}

/// Serves with a configuration. `more` is said after how to log in.
pub(super) fn serve(
    settings: Settings,
    conformance: bool,
    more: &str,
    session: &Session<'_>,
) -> Result<Exit, Failure> {
    let talk = Talk {
        json: session.json,
        more: more.to_owned(),
        phases: Phases::new(names, &SystemClock).every(SERVICE_LINE_EVERY),
        zones: Phases::new(cloudkit::names, &SystemClock).every(SERVICE_LINE_EVERY),
        failed: Mutex::default(),
        warned: Mutex::default(),
    };
    service::run(Plan {
        settings,
        conformance,
        shows_password: session.size.is_terminal,
        notify_socket: session.environment.notify_socket.clone(),
        commands: Arc::new(CommandLine),
        tell: Arc::new(move |event| talk.tell(event)),
    })?;
    Ok(Exit::Done)
}

/// Tells the terminal, or the log of whoever started the service.
struct Talk {
    json: bool,
    /// What is said after how to log in.
    more: String,
    phases: Phases<'static, Phase>,
    /// Of Messages in iCloud, by what is in the zone.
    zones: Phases<'static, &'static str>,
    /// The latest failure of each source: one that is away is named once, not every minute.
    failed: Mutex<BTreeMap<&'static str, String>>,
    /// The latest warnings, likewise.
    warned: Mutex<Vec<String>>,
}

impl Talk {
    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Serving(serving) => {
                let text = if self.json {
                    serving_json(serving)
                } else {
                    serving_text(serving) + &self.more
                };
                let mut out = io::stdout().lock();
                // The service is for its clients; nobody has to read what it prints.
                drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
            }
            Event::Progress(now) => self.phases.set(now.phase, now.done, now.total),
            Event::Passed(import) => {
                self.phases.clear();
                self.failed().remove("chatdb");
                self.passed(import);
            }
            // Passes that find nothing come often.
            Event::CloudPage(report) if report.changes == 0 => {}
            Event::CloudPage(report) => {
                let what = zone_content(report.zone);
                self.zones.set(what, report.changes, None);
            }
            Event::CloudPassed(report) => {
                self.zones.clear();
                self.failed().remove("cloudkit");
                for line in changes::told(&report.tally) {
                    say(&format!("{line}\n"));
                }
            }
            Event::Failed(source, error) => {
                self.phases.clear();
                self.zones.clear();
                let hint = error.hint();
                let text = report::render(*error, hint.as_deref());
                let mut failed = self.failed();
                if failed.get(source.name()) != Some(&text) {
                    say(&text);
                    failed.insert(source.name(), text);
                }
            }
            Event::Stopping => {
                self.phases.clear();
                self.zones.clear();
                say("stopping\n");
            }
        }
    }

    fn passed(&self, import: &Import) {
        for line in changes::told(&import.tally) {
            say(&format!("{line}\n"));
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in import.warnings.iter().filter(|now| !warned.contains(now)) {
            report::warning(warning);
        }
        warned.clone_from(&import.warnings);
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To stderr, as far as there is one.
fn say(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

fn serving_text(serving: &Serving<'_>) -> String {
    let mut rows = vec![
        ("address", serving.address.to_owned()),
        ("user", serving.user_id.to_owned()),
    ];
    if let Some(password) = serving.password {
        rows.push((
            "password",
            format!("{}  (shown this once)", password.expose()),
        ));
    }
    if let Some(file) = serving.password_file {
        let file = file.display();
        rows.push(("password", format!("in {file} until the first login")));
    }
    if let Some(fingerprint) = &serving.fingerprint {
        rows.push(("certificate", format!("SHA-256 {fingerprint}")));
    }
    rows.push(("archive", serving.archive.display().to_string()));
    rows.push(("follows", follows(serving)));
    let mut text = String::new();
    for (name, value) in rows {
        let line = format!("{name:<13}{}\n", Clean::line(&value));
        text.push_str(&line);
    }
    text.push_str("log in with any Matrix client: the address is its homeserver\n");
    text
}

fn follows(serving: &Serving<'_>) -> String {
    let cloud = serving.cloud.then_some("Messages in iCloud");
    match (serving.chat_db, cloud) {
        (Some(path), Some(cloud)) => format!("{}, and {cloud}", path.display()),
        (Some(path), None) => path.display().to_string(),
        (None, Some(cloud)) => cloud.to_owned(),
        (None, None) => "nothing; `--chat-db PATH` names a Messages database".to_owned(),
    }
}

fn serving_json(serving: &Serving<'_>) -> String {
    let json = serde_json::json!({
        "address": serving.address,
        "user": serving.user_id,
        "password": serving.password.map(SecretText::expose),
        "password_file": serving.password_file,
        "fingerprint": serving.fingerprint,
        "archive": serving.archive,
        "follows": serving.chat_db,
        "icloud": serving.cloud,
    });
    format!("{}\n", text::escape_json(&json.to_string()))
}
