//! Messages and records of which something could not be decoded.

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::base::time::AppleTime;
use crate::store::StoreError;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// The message; of a record of CloudKit that is none yet, its name.
    pub guid: String,
    /// What could not be decoded, and why.
    pub reasons: Vec<String>,
    /// The version of the decoder that tried last.
    pub decoder: u32,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when.
    pub since: AppleTime,
    /// Whether the message shows some text all the same.
    pub has_text: bool,
}

impl Archive {
    /// Everything in quarantine, by arrival.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read.
    pub fn quarantine(&self) -> Result<Vec<Quarantined>, AppError> {
        let snapshot = self.store().snapshot()?;
        let mut list = Vec::new();
        for (row, entry) in snapshot.quarantine()? {
            let (guid, has_text) = match snapshot.message(row) {
                Ok(stored) => {
                    let message = stored.message;
                    let has_text = message.body.and_then(|body| body.shown()).is_some();
                    (message.guid.to_string(), has_text)
                }
                Err(StoreError::Dangling { .. }) => {
                    let record = snapshot.cloud_record(row)?.unwrap_or_default();
                    (record.record.name, false)
                }
                Err(error) => return Err(error.into()),
            };
            list.push(Quarantined {
                guid,
                reasons: entry.reasons,
                decoder: entry.decoder,
                attempts: entry.attempts,
                since: entry.since,
                has_text,
            });
        }
        Ok(list)
    }
}
