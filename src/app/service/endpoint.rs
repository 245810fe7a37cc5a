//! The Matrix endpoint of the running service: how it is made of the configuration.

use std::sync::Arc;

use crate::app::media::FetchedFiles;
use crate::app::media::SourceFiles;
use crate::app::service::Service;
use crate::app::service::status_json;
use crate::app::settings::Key;
use crate::app::settings::Origin;
use crate::deliver::endpoint::EndpointError;
use crate::deliver::endpoint::LegacyMedia;
use crate::deliver::endpoint::MediaFiles;
use crate::deliver::endpoint::Notices;
use crate::deliver::endpoint::Server;
use crate::deliver::endpoint::Settings;
use crate::ingest::Options;
use crate::ingest::assets::Wishes;
use crate::model::attachment::Attachment;
use crate::net::Handler;

/// Makes the endpoint of a service, and what says things to its owner.
///
/// # Errors
///
/// [`EndpointError`].
pub(super) fn endpoint(
    service: &Arc<Service>,
    source: Option<&Options>,
    wishes: Wishes,
) -> Result<(Arc<dyn Handler>, Notices), EndpointError> {
    let configured = &service.settings.endpoint;
    let owner = &service.owner;
    let files: Arc<dyn MediaFiles> = match source {
        Some(options) => Arc::new(SourceFiles::new(&options.locations)),
        None => Arc::new(NoFiles),
    };
    let files = Arc::new(FetchedFiles::new(files, wishes));
    let hosts = configured.public_url.as_deref();
    let user = owner.user_id.trim_start_matches('@');
    let user = user.split_once(':').map_or(user, |(user, _)| user);
    let asked = Arc::clone(service);
    let status = move || {
        let status = status_json(&asked);
        status
            .inspect_err(|error| tracing::error!(%error, "the status could not be told"))
            .ok()
    };
    let mut settings = Settings::new(user, &owner.server_name, hosts, files, Arc::new(status))?;
    settings.public_url.clone_from(&configured.public_url);
    settings
        .allowed_origins
        .clone_from(&configured.allowed_origins);
    settings.legacy_media = service.settings.legacy_media;
    let is_chosen = service.settings.origin(Key::LegacyMedia) != Origin::Default;
    if service.conformance && !is_chosen {
        // Suites ask as clients of all announced versions do, and there is nothing of anybody's to see.
        settings.legacy_media = LegacyMedia::Loopback;
    }
    settings.conformance = service.conformance;
    let store = service.archive.store().clone();
    let server = Server::new(store, service.archive.shared_clock(), settings)?;
    let notices = server.notices();
    Ok((Arc::new(server), notices))
}

/// An archive without a Messages database has no files beside those that it holds.
struct NoFiles;

impl MediaFiles for NoFiles {
    fn open(&self, _attachment: &Attachment) -> Option<std::fs::File> {
        None
    }
}
