//! From a configuration to a service that answers, and to its end.
//!
//! 1. Is there a source, or an archive from before? Does it run already?
//! 2. The archive is opened, or made.
//! 3. The addresses are taken; clients that connect now wait.
//! 4. The owner's account is there, or made: nothing can fail any more before its password is shown.
//! 5. Clients are answered, and systemd is told (D16: before anything is imported).
//! 6. The sources are followed until a signal comes, the archive refuses to be written, or iCloud panics before all of it
//!    was read once (SC-22).
//! 7. Everything is told to stop, and is waited for. A second signal does not wait.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::account;
use crate::app::cloudkit::Report;
use crate::app::cloudkit::ZoneReport;
use crate::app::import::Wanted;
use crate::app::remote::Commands;
use crate::app::remote::Remote;
use crate::app::remote::socket_of;
use crate::app::service::Service;
use crate::app::service::cloud::keep_syncing;
use crate::app::service::endpoint::endpoint;
use crate::app::service::fetch::keep_fetching;
use crate::app::service::front::Front;
use crate::app::service::notices::noticing;
use crate::app::service::notify;
use crate::app::service::notify::notify;
use crate::app::service::source::keep_following;
use crate::app::settings::Key;
use crate::app::settings::Origin;
use crate::app::settings::Settings;
use crate::app::settings::Tls as TlsSettings;
use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::limits::STOP_DEADLINE;
use crate::base::secret::SecretText;
use crate::base::tasks::TaskGroup;
use crate::base::time::SystemClock;
use crate::base::unfinished::remove_unfinished;
use crate::deliver::endpoint::EndpointError;
use crate::deliver::endpoint::Notices;
use crate::ingest::Import;
use crate::ingest::Options;
use crate::ingest::Progress;
use crate::ingest::assets;
use crate::model::record::SourceKind;
use crate::net::Connections;
use crate::net::Handler;
use crate::net::Listen;
use crate::net::ListenError;
use crate::net::Listener;
use crate::net::Tls;
use crate::net::TlsError;
use crate::net::raise_descriptor_limit;
use crate::store::StoreError;

/// The self-signed certificate's file, beside the archive.
const CERTIFICATE: &str = "tls.pem";

/// Threads that are still at work when everything has stopped: the process ends without them.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Hears what happens, on any thread. It must not block for long.
pub type Tell = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// What a person may want to hear while the service runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// It answers.
    Serving(Serving<'a>),
    /// The source is being read.
    Progress(Progress),
    /// The source was read to its end.
    Passed(&'a Import),
    /// A page of Messages in iCloud was read.
    CloudPage(&'a ZoneReport),
    /// Messages in iCloud was read to its end.
    CloudPassed(&'a Report),
    /// A source could not be read; it is tried again, or waits for the owner.
    Failed(SourceKind, &'a dyn Explain),
    /// It was told to stop.
    Stopping,
}

/// How to log in.
#[derive(Debug)]
pub struct Serving<'a> {
    /// Where: `http://127.0.0.1:8008`.
    pub address: &'a str,
    /// As whom.
    pub user_id: &'a str,
    /// With which password, if the account is new and the password may be shown.
    pub password: Option<&'a SecretText>,
    /// Where it waits otherwise.
    pub password_file: Option<&'a Path>,
    /// The fingerprint of a certificate that was made here.
    pub fingerprint: Option<String>,
    /// The archive.
    pub archive: &'a Path,
    /// The database that is followed.
    pub chat_db: Option<&'a Path>,
    /// Whether Messages in iCloud is followed.
    pub cloud: bool,
}

/// What to run.
pub struct Plan {
    /// The configuration.
    pub settings: Settings,
    /// Whether clients may make rooms and accounts (D27).
    pub conformance: bool,
    /// Whether a new password may be shown: on a terminal only (D28).
    pub shows_password: bool,
    /// Where systemd listens.
    pub notify_socket: Option<PathBuf>,
    /// What answers the owner's other processes.
    pub commands: Arc<dyn Commands>,
    /// Who hears what happens.
    pub tell: Tell,
}

/// Why the service does not run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is nothing to serve.
    #[error("there is no archive yet, and no Messages database to make one from")]
    NoSource,
    /// Conformance suites must not see anybody's messages.
    #[error("{origin}: `source.chat_db` is set, and a conformance run has no source")]
    Conformance {
        /// Where it is set.
        origin: Origin,
    },
    /// The same, where they are in the archive already.
    #[error("{} is somebody's archive, and a conformance run needs one of its own", archive.display())]
    ConformanceArchive {
        /// The archive.
        archive: PathBuf,
    },
    /// Another service has the archive.
    #[error("footbridge is running already, with {}", archive.display())]
    Running {
        /// The archive.
        archive: PathBuf,
    },
    /// The archive, or the source.
    #[error(transparent)]
    App(#[from] AppError),
    /// The Matrix endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// An address cannot be listened at.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system refused threads or signals.
    #[error("cannot start the service")]
    System {
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
    /// A second signal came before everything had stopped.
    #[error("ended at once; what was committed is safe")]
    Interrupted,
}

impl Explain for RunError {
    fn class(&self) -> Class {
        match self {
            Self::NoSource | Self::Conformance { .. } | Self::ConformanceArchive { .. } => {
                Class::Usage
            }
            Self::Running { .. } => Class::Store,
            Self::App(error) => error.class(),
            Self::Endpoint(error) => error.class(),
            Self::Listen(error) => error.class(),
            Self::Tls(error) => error.class(),
            Self::System { .. } | Self::Interrupted => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoSource => {
                "copy chat.db, chat.db-wal and Attachments from ~/Library/Messages of a Mac into one folder,\n\
                 then run `footbridge run --chat-db FOLDER/chat.db`,\n\
                 or import a session of Messages in iCloud with `footbridge cloudkit import <session.json>`,\n\
                 or name an archive from elsewhere with `--data FILE`"
            }
            Self::Conformance { .. } => "leave it out, and name a new archive with `--data FILE`",
            Self::ConformanceArchive { .. } => {
                "suites must not see anybody's messages: name a new file with `--data FILE`"
            }
            Self::Running { .. } => {
                "it follows Messages by itself, and commands that only read reach it by themselves;\n\
                 stop it first for this one"
            }
            Self::App(error) => return error.hint(),
            Self::Endpoint(error) => return error.hint(),
            Self::Listen(error) => return error.hint(),
            Self::Tls(error) => return error.hint(),
            Self::System { .. } | Self::Interrupted => return None,
        };
        Some(hint.to_owned())
    }
}

/// What ends the service.
#[derive(Debug)]
pub(super) enum Fatal {
    /// The archive refuses to be written.
    Store(StoreError),
    /// A source panicked before all of it was read once (SC-22).
    Panicked,
}

/// How the service ended, if by no error.
enum End {
    Stopped,
    Panicked,
}

/// Runs the service until it is told to stop. Blocks. Goes on with the panic of a source that ends it.
///
/// # Errors
///
/// [`RunError`]. What was committed is safe whatever happens.
pub fn run(plan: Plan) -> Result<(), RunError> {
    raise_descriptor_limit();
    let system = |source| RunError::System { source };
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(system)?;
    let ended = runtime.block_on(serve(plan));
    match ended {
        Err(RunError::Interrupted) => runtime.shutdown_background(),
        _ => runtime.shutdown_timeout(LAST_WAIT),
    }
    // A question that was not done in time may be writing one.
    remove_unfinished();
    match ended? {
        End::Stopped => Ok(()),
        End::Panicked => resume_unwind(Box::new("a source panicked")),
    }
}

/// Whether an archive is more than a conformance run makes of it: it has messages, or may fetch some.
fn is_somebodys(archive: &Archive) -> Result<bool, AppError> {
    Ok(archive.store().snapshot()?.message_count()? > 0 || archive.has_session()?)
}

async fn serve(mut plan: Plan) -> Result<End, RunError> {
    let mut signals = Signals::new().map_err(|source| RunError::System { source })?;
    let options = source(&mut plan)?;
    let path = plan.settings.data.clone();
    if Remote::connect(&path).is_some() {
        return Err(RunError::Running { archive: path });
    }
    let archive = Archive::open_or_create(&path)?.with_floor(plan.settings.free_floor);
    if plan.conformance && is_somebodys(&archive)? {
        return Err(RunError::ConformanceArchive { archive: path });
    }
    let server_name = archive.server_name(&plan.settings.endpoint)?;
    let tls = tls(&plan.settings, &server_name)?.map(Arc::new);
    let listener = Listener::bind(Listen::Tcp {
        address: plan.settings.endpoint.listen,
        tls: tls.clone(),
    })
    .await?;
    let socket = Listener::bind(Listen::Unix(socket_of(&path))).await?;
    let owner = archive.owner(&plan.settings.endpoint)?;
    let address = address(&plan.settings, listener.address(), &server_name);
    let mut service = Service::new(plan.settings, archive, owner, plan.conformance);
    let password = service.owner.password.take();
    let file = password_file(&path, password.as_ref(), plan.shows_password)?;

    let service = Arc::new(service);
    let group = TaskGroup::new();
    let (wishes, wish_list) = assets::wishes();
    let (endpoint, notices) = endpoint(&service, options.as_ref(), wishes)?;
    let connections = Connections::default();
    let front = |is_owner: bool| -> Arc<dyn Handler> {
        let commands = is_owner.then(|| Arc::clone(&plan.commands));
        Arc::new(Front::new(
            Arc::clone(&endpoint),
            commands,
            Arc::clone(&service),
        ))
    };
    listener.serve(front(false), connections.clone(), &group);
    socket.serve(front(true), connections, &group);
    if let Some(tls) = &tls {
        tls.watch(&group);
    }
    let has_cloud = !plan.conformance && service.archive.has_session()?;
    let is_self_signed = service.settings.endpoint.tls == TlsSettings::SelfSigned;
    (plan.tell)(&Event::Serving(Serving {
        address: &address,
        user_id: &service.owner.user_id,
        password: password.as_ref().filter(|_| plan.shows_password),
        password_file: file.as_deref(),
        fingerprint: tls
            .filter(|_| is_self_signed)
            .map(|tls| tls.fingerprint().to_string()),
        archive: &path,
        chat_db: options
            .as_ref()
            .map(|options| options.locations.database.as_path()),
        cloud: has_cloud,
    }));
    drop(password);
    notify(plan.notify_socket.as_deref(), notify::READY);

    let mut refused = follow(&service, options, &plan.tell, &notices, &group)?;
    if !service.conformance {
        let fetching = keep_fetching(Arc::clone(&service), wish_list, group.clone());
        group.spawn("attachments keeper", fetching);
    }
    if file.is_some() {
        group.spawn(
            "first login",
            forget_at_first_login(Arc::clone(&service), group.clone()),
        );
    }
    let refusal = tokio::select! {
        () = signals.next() => None,
        // Without a source there is nobody to tell of anything.
        Some(refusal) = refused.recv() => Some(refusal),
    };
    (plan.tell)(&Event::Stopping);
    notify(plan.notify_socket.as_deref(), notify::STOPPING);
    tokio::select! {
        outcome = group.stop_and_join(STOP_DEADLINE) => {
            if !outcome.is_clean() {
                tracing::warn!(?outcome, "stopped, not cleanly");
            }
        }
        () = signals.next() => return Err(RunError::Interrupted),
    }
    match refusal {
        Some(Fatal::Store(error)) => Err(AppError::from(error).into()),
        Some(Fatal::Panicked) => Ok(End::Panicked),
        None => Ok(End::Stopped),
    }
}

/// Starts to follow the sources. Answers who tells what ends the service.
fn follow(
    service: &Arc<Service>,
    options: Option<Options>,
    tell: &Tell,
    notices: &Notices,
    group: &TaskGroup,
) -> Result<mpsc::Receiver<Fatal>, AppError> {
    let (fatal, refused) = mpsc::channel(1);
    let is_new = service.archive.store().snapshot()?.message_count()? == 0;
    let noticing = |source, is_first| {
        let (tell, notices) = (Arc::clone(tell), notices.clone());
        noticing(tell, source, is_first, notices, group)
    };
    let has_mac = options.is_some();
    if let Some(options) = options {
        let following = keep_following(
            Arc::clone(service),
            options,
            noticing(SourceKind::ChatDb, is_new),
            group.stop().clone(),
            fatal.clone(),
        );
        group.spawn("source", following);
    }
    if !service.conformance {
        let tell = noticing(SourceKind::CloudKit, is_new && !has_mac);
        let syncing = keep_syncing(Arc::clone(service), tell, group.clone(), fatal);
        group.spawn("iCloud keeper", syncing);
    }
    Ok(refused)
}

/// What to follow; nothing if an archive from before is served alone.
fn source(plan: &mut Plan) -> Result<Option<Options>, RunError> {
    let settings = &mut plan.settings;
    if plan.conformance {
        let origin = settings.origin(Key::ChatDb);
        if origin != Origin::Default {
            return Err(RunError::Conformance { origin });
        }
        settings.chat_db = None;
        return Ok(None);
    }
    let Some(chat_db) = &settings.chat_db else {
        return if settings.data.exists() {
            Ok(None)
        } else {
            Err(RunError::NoSource)
        };
    };
    let wanted = Wanted {
        chat_db,
        attachments: settings.attachments.as_deref(),
        region: settings.region.as_deref(),
        commit_rows: None,
    };
    if !settings.data.exists() {
        wanted.check()?;
    }
    Ok(Some(wanted.options()?))
}

/// The certificate to encrypt with.
fn tls(settings: &Settings, server_name: &str) -> Result<Option<Tls>, TlsError> {
    match &settings.endpoint.tls {
        TlsSettings::Off => Ok(None),
        TlsSettings::Files { certificate, key } => Tls::from_files(certificate, key).map(Some),
        TlsSettings::SelfSigned => {
            let address = settings.endpoint.listen.ip();
            let public = settings.endpoint.public_url.as_deref();
            let hosts = [
                Some(server_name),
                public,
                Some("localhost"),
                Some("127.0.0.1"),
            ];
            let hosts = hosts.into_iter().flatten();
            let mut names: Vec<String> = hosts.filter_map(crate::net::guard::host_of).collect();
            if !address.is_unspecified() {
                names.push(address.to_string());
            }
            names.sort();
            names.dedup();
            let path = settings.data.with_file_name(CERTIFICATE);
            Tls::self_signed(&path, &names, &SystemClock).map(Some)
        }
    }
}

/// Where clients connect.
fn address(settings: &Settings, bound: Option<SocketAddr>, server_name: &str) -> String {
    if let Some(public) = &settings.endpoint.public_url {
        return public.clone();
    }
    let bound = bound.unwrap_or(settings.endpoint.listen);
    let scheme = match settings.endpoint.tls {
        TlsSettings::Off => "http",
        TlsSettings::SelfSigned | TlsSettings::Files { .. } => "https",
    };
    match crate::net::guard::host_of(server_name) {
        Some(host) if bound.ip().is_unspecified() => format!("{scheme}://{host}:{}", bound.port()),
        _ => format!("{scheme}://{bound}"),
    }
}

/// Where the first password waits: written now, or before and still not used.
fn password_file(
    archive: &Path,
    password: Option<&SecretText>,
    shows_password: bool,
) -> Result<Option<PathBuf>, AppError> {
    match password {
        Some(_) if shows_password => Ok(None),
        Some(password) => account::write_first_password(archive, password).map(Some),
        None => Ok(Some(account::first_password_file(archive)).filter(|file| file.exists())),
    }
}

/// Removes the first password's file once somebody has logged in (D28).
async fn forget_at_first_login(service: Arc<Service>, group: TaskGroup) {
    let look = || -> Result<bool, AppError> {
        account::has_logged_in(&service.archive.store().snapshot()?)
    };
    let mut changes = service.archive.store().changes();
    loop {
        match look() {
            Ok(false) => {}
            Ok(true) => {
                account::forget_first_password(&service.settings.data);
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "devices not read");
                return;
            }
        }
        let next = group.stop().run_until_cancelled(changes.changed());
        if !matches!(next.await, Some(Ok(()))) {
            return;
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next of either.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
