//! `footbridge demo`.

use std::io;
use std::io::Write;

use crate::app::Archive;
use crate::app::demo::Demo;
use crate::app::demo::Step;
use crate::app::demo::Wanted;
use crate::app::remote::Remote;
use crate::app::service::RunError;
use crate::base::error::Explain;
use crate::base::time::SystemClock;
use crate::cli::Session;
use crate::cli::args::DemoArgs;
use crate::cli::commands::changes;
use crate::cli::commands::cloudkit::names;
use crate::cli::commands::run::serve;
use crate::cli::commands::status;
use crate::cli::numbers::counted;
use crate::cli::progress::Phases;
use crate::cli::report;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;

/// Syncs an archive from an invented account, and serves it.
pub(crate) fn run(args: &DemoArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let data = session.flags.data.as_deref();
    if let Some(data) = data
        && Remote::connect(data).is_some()
    {
        let archive = data.to_owned();
        return Err(RunError::Running { archive }.into());
    }
    let demo = Demo::start(&Wanted {
        messages: args.messages,
        trouble: args.trouble,
        data,
    })?;
    let ended = show(&demo, args, session);
    demo.end();
    ended
}

fn show(demo: &Demo, args: &DemoArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let phases = Phases::new(names, &SystemClock);
    let synced = demo.sync(&|step| {
        let said = match step {
            Step::Page { what, done, total } => {
                phases.set(what, done, total);
                return;
            }
            Step::Passed(read) => changes::told(&read.tally),
            Step::Hindered(error) => {
                let text = report::render(error, error.hint().as_deref());
                text.lines().map(str::to_owned).collect()
            }
            Step::Imported => vec!["a new session is imported, with all keys".to_owned()],
        };
        phases.clear();
        for line in said {
            // The answer is what comes at the end.
            drop(writeln!(io::stderr().lock(), "{line}"));
        }
    });
    drop(phases);
    synced?;
    for (trouble, times) in demo.troubles() {
        let times = counted(times as u64, "time");
        drop(writeln!(
            io::stderr().lock(),
            "on purpose: {trouble} ({times})"
        ));
    }
    if args.trouble {
        for aside in demo.set_aside()? {
            let records = counted(aside.count, "record");
            let conversation = aside.conversation.as_deref();
            let place = conversation.map_or(String::new(), |name| format!(" in `{name}`"));
            let line = format!("on purpose: {records}{place}: {}", aside.why);
            drop(writeln!(io::stderr().lock(), "{}", Clean::line(&line)));
        }
    }
    if args.no_serve {
        demo.fetch()?;
        return status::print(&Archive::open(demo.archive())?, session);
    }
    let archive = demo.archive().display();
    let at_the_end = if demo.is_temporary() {
        "Control-C ends it and removes its archive"
    } else {
        "Control-C ends it; its archive stays"
    };
    let more = format!(
        "look around in a browser at the address, or in another terminal:\n  \
         footbridge --data {archive} conversations\n  \
         footbridge --data {archive} search photo\n  \
         footbridge --data {archive} status\n{at_the_end}\n"
    );
    serve(demo.serving(args.listen.as_deref())?, false, &more, session)
}
