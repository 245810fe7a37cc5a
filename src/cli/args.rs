//! The arguments. Every flag has a sentence, its default and its unit; help fits 80 columns.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap_complete::Shell;

use crate::app::decode::BlobKind;
use crate::app::search::kind;
use crate::base::ids::ChangeNumber;
use crate::cli::when::When;
use crate::cli::when::parse_here;

/// The variable is read by `app::config`; clap's own `env` would read it here.
const DATA_HELP: &str = "Archive file [default: FOOTBRIDGE_DATA, else the platform's data folder]";

/// Above the flags that every command has.
const GLOBAL: &str = "For every command";

const DECODE_EXAMPLE: &str = "\
To cut a blob out of a copy of the database:
  sqlite3 chat.db \"SELECT writefile('blob', attributedBody)
    FROM message WHERE guid = 'GUID'\"
  footbridge decode typedstream blob";

const SEARCH_EXAMPLES: &str = "\
Examples:
  footbridge search dinner friday        both words, anywhere in a message
  footbridge search 'see you' --from me  the phrase
  footbridge search 'birth*' --since 2023 --until 2024-06";

/// Keeps a whole iMessage history in one file, and answers every question about it.
#[derive(Debug, Parser)]
#[command(
    name = "footbridge",
    version,
    max_term_width = 80,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 failed (trying again may help), 2 wrong arguments,\n\
                  3 you must act, 4 the archive is locked, newer or damaged, 70 a bug."
)]
pub struct Arguments {
    /// The archive file.
    #[arg(long, global = true, value_name = "FILE", help = DATA_HELP, help_heading = GLOBAL)]
    pub data: Option<PathBuf>,

    /// Configuration file [default: the platform's, see `footbridge config`].
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub config: Option<PathBuf>,

    /// Print one JSON object a line instead of text.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the archive to Matrix clients, and follow Messages.
    ///
    /// Prints where to log in, imports what is new, and goes on until it is stopped. While it runs, the commands that
    /// only read reach it by themselves.
    Run(RunArgs),

    /// Take a Messages database, or what is new in it, into the archive.
    ///
    /// The first time everything is read; later only what is new or changed is stored. It may be interrupted at any
    /// moment: the next import goes on from there.
    Import(ImportArgs),

    /// Show what footbridge does, with invented messages.
    ///
    /// Starts an iCloud of its own on this computer, whose account is invented, syncs an archive from it over the real
    /// protocol, and serves the archive as `run` does until Control-C. Nothing of yours is read or changed.
    Demo(DemoArgs),

    /// Read Messages in iCloud: session, state, and a sync by hand.
    Cloudkit(CloudkitArgs),

    /// Tell what the archive holds, what is missing and why.
    Status,

    /// List the conversations, the newest first.
    Conversations(ConversationsArgs),

    /// Show a conversation as a chat.
    Show(ShowArgs),

    /// Find messages by their words, the newest first.
    #[command(after_help = SEARCH_EXAMPLES)]
    Search(SearchArgs),

    /// Tell where a message is and why it is not shown.
    ///
    /// One that is parked is kept, and shown once the conversation that it belongs to is known. One in quarantine is kept
    /// as it came, because not all of it could be read; `footbridge redecode` reads it again after an upgrade.
    Explain(ExplainArgs),

    /// Write everything as JSON Lines or as text to read.
    Export(ExportArgs),

    /// List every address the archive has seen, with its name.
    ListHandles,

    /// Show the addresses of one person as conversations of their own.
    ///
    /// Messages to several addresses of one contact are shown as one conversation. This parts them; nothing that is
    /// stored changes, and `join` undoes it.
    Split(PersonArgs),

    /// Show the addresses of one person as one conversation again.
    Join(PersonArgs),

    /// List what could not be decoded, or try it again.
    Quarantine(QuarantineArgs),

    /// List the files of messages, or fetch again what could not be had.
    Attachments(AttachmentsArgs),

    /// Decode what is stored again, after an upgrade.
    Redecode(RedecodeArgs),

    /// Read the whole archive and hold its tables against one another.
    ///
    /// Changes nothing. Ends with exit code 4 when something is wrong, with a line for each finding.
    Verify,

    /// Write a copy of the archive and verify it.
    Backup(BackupArgs),

    /// Shrink the archive file to what it holds.
    Compact,

    /// Set a new password for Matrix clients to log in with.
    Password(PasswordArgs),

    /// Print the configuration in force, and where each value came from.
    Config,

    /// Look for what could go wrong on this computer.
    ///
    /// Looks at the system's version, the clock, permission to read Messages, the archive's place and the disk. Changes
    /// nothing. Ends with exit code 3 when you must act.
    Check,

    /// Show one blob of a Messages database as JSON, for bug reports.
    #[command(after_help = DECODE_EXAMPLE)]
    Decode(DecodeArgs),

    /// Print a script that completes footbridge's arguments in a shell.
    Completions(CompletionsArgs),
}

/// `footbridge run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where clients connect: address and port [default: 127.0.0.1:8008].
    ///
    /// Port 0 is any free one. Another address than this computer's own needs TLS, or `--insecure`.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,

    /// Part of Matrix ids after the colon [default: this computer's name].
    ///
    /// It is fixed when the archive is made.
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,

    /// Let others connect without TLS.
    #[arg(long)]
    pub insecure: bool,

    /// Let clients make rooms and accounts, for conformance suites.
    ///
    /// It refuses to start with a Messages database, or an archive that holds messages: suites must not see anybody's.
    #[arg(long)]
    pub conformance: bool,

    /// Messages database to follow [default: this Mac's own].
    #[arg(long, value_name = "PATH")]
    pub chat_db: Option<PathBuf>,
}

/// `footbridge password`.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// Read it from standard input, one line.
    #[arg(long)]
    pub stdin: bool,

    /// Log out every client.
    #[arg(long)]
    pub logout: bool,
}

/// `footbridge import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Messages database to read [default: this Mac's own].
    ///
    /// It is opened read-only, also while Messages is running. Copy a database together with the `-wal` file beside it.
    #[arg(long, value_name = "PATH")]
    pub chat_db: Option<PathBuf>,

    /// Folder of the attachments [default: `Attachments` beside the database].
    #[arg(long, value_name = "DIR")]
    pub attachments: Option<PathBuf>,

    /// Country of numbers without a country code, such as `DE`.
    ///
    /// Two letters (ISO 3166). [default: the country of your own number, else of most other numbers]
    #[arg(long, value_name = "COUNTRY")]
    pub region: Option<String>,

    /// At most so many messages in one commit [default: 200000].
    ///
    /// An interrupted import goes on after its last commit: with fewer, less is read again and all takes longer.
    #[arg(long, value_name = "NUMBER", value_parser = parse_rows)]
    pub commit_rows: Option<NonZeroUsize>,
}

/// `footbridge demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// About so many messages.
    #[arg(long, value_name = "NUMBER", default_value_t = 3000, value_parser = parse_demo_messages)]
    pub messages: u64,

    /// Let things go wrong on purpose: everything still arrives, or says why not.
    #[arg(long)]
    pub trouble: bool,

    /// End after the sync with what `status` says, instead of serving.
    #[arg(long)]
    pub no_serve: bool,

    /// Where clients connect [default: 127.0.0.1:8008, else a free port].
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "no_serve")]
    pub listen: Option<String>,
}

/// `footbridge cloudkit`.
#[derive(Debug, Args)]
pub struct CloudkitArgs {
    /// What to do with Messages in iCloud.
    #[command(subcommand)]
    pub action: CloudkitAction,
}

/// `footbridge cloudkit import`, `status`, `sync` and `forget`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum CloudkitAction {
    /// Import a session: tokens and keys of a signed-in account.
    ///
    /// `packaging/session.md` says what the file holds. It is kept in the archive and never shown. Importing another one
    /// of the same account later replaces the tokens, and adds its keys.
    Import {
        /// The session file, JSON.
        #[arg(value_name = "SESSION.JSON")]
        file: PathBuf,
    },
    /// Tell how far Messages in iCloud is read, and what it needs.
    Status,
    /// Read what is new, once.
    ///
    /// `footbridge run` does it by itself. It may be interrupted at any moment: the next sync goes on from there.
    Sync,
    /// Forget the session. What was read stays.
    Forget,
}

/// `footbridge conversations`.
#[derive(Debug, Args)]
pub struct ConversationsArgs {
    /// List every address of a person as a conversation of its own.
    #[arg(long)]
    pub unmerged: bool,
}

/// `footbridge split` and `footbridge join`.
#[derive(Debug, Args)]
pub struct PersonArgs {
    /// The conversation: its name, a member's name or address, or its key.
    pub conversation: String,
}

/// `footbridge redecode`.
#[derive(Debug, Args)]
pub struct RedecodeArgs {
    /// Decode everything, not only what an older version decoded.
    #[arg(long)]
    pub all: bool,
}

/// `footbridge show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The conversation: its name, a member's name or address, or its key.
    pub conversation: String,

    /// Only messages of this time and later, such as `2024-03`.
    #[arg(long, value_name = "TIME", value_parser = parse_here)]
    pub since: Option<When>,

    /// Only messages up to the end of this time, such as `2024-03`.
    #[arg(long, value_name = "TIME", value_parser = parse_here)]
    pub until: Option<When>,

    /// At most so many messages, the latest ones; 0 shows all.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = parse_limit)]
    pub limit: usize,
}

/// `footbridge search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words that all occur; a phrase in quotes, a beginning as `word*`.
    #[arg(required = true)]
    pub words: Vec<String>,

    /// Only in this conversation: its name, a member, or its key.
    #[arg(long = "in", value_name = "CONVERSATION")]
    pub conversation: Option<String>,

    /// Only from this person: a name, an address, or `me`.
    #[arg(long, value_name = "PERSON")]
    pub from: Option<String>,

    /// Only messages of this time and later, such as `2024-03`.
    #[arg(long, value_name = "TIME", value_parser = parse_here)]
    pub since: Option<When>,

    /// Only messages up to the end of this time, such as `2024-03`.
    #[arg(long, value_name = "TIME", value_parser = parse_here)]
    pub until: Option<When>,

    /// Only this kind of message [default: all].
    #[arg(long, value_enum)]
    pub kind: Option<SearchKind>,

    /// At most so many messages, the latest ones; 0 shows all.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = parse_limit)]
    pub limit: usize,
}

/// What a search looks among.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SearchKind {
    /// Messages with text.
    Text,
    /// Messages with attachments.
    Attachment,
    /// Messages with a link.
    Link,
    /// Renames, members coming and going, and the like.
    Announcement,
}

impl SearchKind {
    /// Its name in the archive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => kind::TEXT,
            Self::Attachment => kind::ATTACHMENT,
            Self::Link => kind::LINK,
            Self::Announcement => kind::ANNOUNCEMENT,
        }
    }
}

/// `footbridge explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A message's GUID, or words of its text.
    #[arg(value_name = "GUID | TEXT", required = true)]
    pub message: Vec<String>,
}

/// `footbridge export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// How to write it.
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub format: ExportFormat,

    /// Where to write it; it appears once it is complete [default: stdout].
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Only this conversation: its name, a member, or its key.
    #[arg(long, value_name = "CONVERSATION")]
    pub conversation: Option<String>,

    /// Only conversations with this person: a name or an address.
    #[arg(long, value_name = "PERSON")]
    pub with: Option<String>,

    /// Only messages of this time and later, such as `2024-03`.
    #[arg(long, value_name = "TIME", value_parser = parse_here)]
    pub since: Option<When>,

    /// Only messages up to the end of this time, such as `2024-03`.
    #[arg(long, value_name = "TIME", value_parser = parse_here)]
    pub until: Option<When>,

    /// Only what is new or changed since an earlier export.
    ///
    /// The number is the `change` in the last line of that export; it is also printed at its end.
    #[arg(long, value_name = "CHANGE", value_parser = parse_change)]
    pub after: Option<ChangeNumber>,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line, with everything that is known.
    Jsonl,
    /// Text to read.
    Txt,
}

/// `footbridge quarantine`.
#[derive(Debug, Args)]
pub struct QuarantineArgs {
    /// What to do with the records that cannot be read.
    #[command(subcommand)]
    pub action: QuarantineAction,
}

/// `footbridge quarantine list` and `retry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum QuarantineAction {
    /// List them with the reasons.
    List,
    /// Decode them again.
    Retry,
}

/// `footbridge attachments`.
#[derive(Debug, Args)]
pub struct AttachmentsArgs {
    /// What to do with the files.
    #[command(subcommand)]
    pub action: AttachmentsAction,
}

/// `footbridge attachments list` and `retry`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum AttachmentsAction {
    /// List them with their states.
    List {
        /// Only those in this state; may be given several times.
        #[arg(long, value_name = "STATE", value_parser = FILE_STATES)]
        state: Vec<String>,
    },
    /// Have files had again that failed or were abandoned: iCloud's fetched, a Mac's read by the next import.
    Retry {
        /// Only this one [default: all].
        #[arg(value_name = "GUID")]
        guid: Option<String>,
    },
}

/// States of files, by their names.
const FILE_STATES: [&str; 6] = [
    "held",
    "wanted",
    "fetching",
    "missing",
    "failed",
    "abandoned",
];

/// `footbridge backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where to write the copy; the file must not exist.
    pub file: PathBuf,
}

/// `footbridge decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// What the blob is: `attributedBody`, `message_summary_info`, `payload_data` or `chat.properties`.
    #[arg(value_parser = blob_kinds())]
    pub kind: BlobKind,

    /// File that holds the blob and nothing else; `-` is standard input.
    pub file: PathBuf,
}

/// `footbridge completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}

fn blob_kinds() -> impl TypedValueParser<Value = BlobKind> {
    PossibleValuesParser::new(BlobKind::ALL.map(BlobKind::name))
        .try_map(|name| name.parse::<BlobKind>())
}

fn parse_change(text: &str) -> Result<ChangeNumber, &'static str> {
    let number = text.parse().map(ChangeNumber);
    number.map_err(|_no_number| "expected the number with which an export ended")
}

fn parse_limit(text: &str) -> Result<usize, &'static str> {
    text.parse()
        .map_err(|_no_number| "expected a whole number, or 0 for all")
}

fn parse_rows(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse()
        .map_err(|_no_number| "expected a whole number from 1 on")
}

fn parse_demo_messages(text: &str) -> Result<u64, &'static str> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=10_000_000).contains(number))
        .ok_or("expected a whole number from 1 to 10,000,000")
}
