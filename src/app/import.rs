//! Taking a source into the archive, and decoding again what is held.

use std::path::Path;

use crate::app::AppError;
use crate::app::Archive;
use crate::ingest;
use crate::model::region::Region;
use crate::source::chatdb::ChatDb;
use crate::source::chatdb::Locations;
use crate::store::Pace;

pub use crate::ingest::Import;
pub use crate::ingest::OnProgress;
pub use crate::ingest::Phase;
pub use crate::ingest::Progress;
pub use crate::ingest::Redecode;
pub use crate::store::Tally;

/// What to import.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The Messages database.
    pub chat_db: &'a Path,
    /// Where `~/Library/Messages/Attachments` was copied to.
    pub attachments: Option<&'a Path>,
    /// The country by which local numbers are read, two letters; `None` to find it out.
    pub region: Option<&'a str>,
    /// Messages in one commit; `None` for the default.
    pub commit_rows: Option<usize>,
}

impl Wanted<'_> {
    fn region(&self) -> Result<Option<Region>, AppError> {
        let parse = |country: &str| {
            Region::parse(country).ok_or_else(|| AppError::Argument {
                value: country.to_owned(),
                expected: "a country in two letters, such as `US`",
            })
        };
        self.region.map(parse).transpose()
    }

    fn locations(&self) -> Locations {
        Locations::new(self.chat_db, self.attachments)
    }

    /// What to hand to `ingest`.
    ///
    /// # Errors
    ///
    /// [`AppError::Argument`] for a country that is none, and for attachments that are in no folder.
    pub(crate) fn options(&self) -> Result<ingest::Options, AppError> {
        if let Some(folder) = self.attachments.filter(|folder| !folder.is_dir()) {
            return Err(AppError::Argument {
                value: folder.display().to_string(),
                expected: "a folder",
            });
        }
        let mut pace = Pace::IMPORT;
        if let Some(rows) = self.commit_rows {
            pace.rows = rows;
        }
        Ok(ingest::Options {
            locations: self.locations(),
            region: self.region()?,
            pace,
        })
    }

    /// Looks whether it can be imported, so that no archive is made for what cannot.
    ///
    /// # Errors
    ///
    /// As [`Archive::import`] at its beginning.
    pub fn check(&self) -> Result<(), AppError> {
        let options = self.options()?;
        ChatDb::open(options.locations).map_err(ingest::IngestError::from)?;
        Ok(())
    }
}

impl Archive {
    /// Brings a Messages database into the archive: all of it the first time, what is new or changed later.
    ///
    /// # Errors
    ///
    /// [`AppError::Argument`] for a country that is none, and for attachments that are in no folder; otherwise as
    /// [`ingest::import`].
    pub fn import(
        &self,
        wanted: &Wanted<'_>,
        on_progress: OnProgress<'_>,
    ) -> Result<Import, AppError> {
        let options = wanted.options()?;
        Ok(ingest::import(
            self.store(),
            self.clock(),
            &options,
            on_progress,
        )?)
    }

    /// Decodes stored records again and stores what comes out differently.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read or written.
    pub fn redecode(
        &self,
        which: Redecode,
        on_progress: OnProgress<'_>,
    ) -> Result<Tally, AppError> {
        Ok(ingest::redecode(self.store(), which, on_progress)?)
    }
}
