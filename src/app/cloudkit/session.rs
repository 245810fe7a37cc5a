//! The session that Messages in iCloud is read with: imported from a file, merged with what was imported before, forgotten.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::apple::session::Device;
use crate::apple::session::Keychain;
use crate::apple::session::Session;
use crate::base::limits::SESSION_FILE_BYTES;
use crate::base::secret::Secret;
use crate::store::Transaction;
use crate::store::value::CloudAccount;

/// What an import of a session brought. Nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Whether there was none before.
    pub is_first: bool,
    /// Whether a token is another one than before.
    pub has_new_tokens: bool,
    /// Items of the keychain that were not held.
    pub new_items: usize,
    /// Items of the keychain in all.
    pub items: usize,
    /// Items that could not be read: what they are called, and why. They stop nothing.
    pub unreadable: Vec<String>,
    /// The owner's addresses in all.
    pub handles: usize,
}

/// A session that was read and not imported yet.
#[derive(Clone, Debug)]
pub struct SessionFile(Session);

impl SessionFile {
    /// Reads a session file.
    ///
    /// # Errors
    ///
    /// [`AppError::Unread`] and [`AppError::Session`], without anything of what the file holds.
    pub fn read(file: &Path) -> Result<Self, AppError> {
        let json = read(file).map_err(|source| AppError::Unread {
            path: file.to_owned(),
            source,
        })?;
        Self::decode(json.expose())
    }

    /// Of what such a file holds.
    pub(crate) fn decode(json: &[u8]) -> Result<Self, AppError> {
        Ok(Self(Session::decode(json)?))
    }
}

impl Archive {
    /// Imports a session. Of a later one the tokens replace those before, and its keys join them: what waits for keys is
    /// tried again with the next pass.
    ///
    /// # Errors
    ///
    /// [`AppError::Session`] for another account's; when the archive cannot be written.
    pub fn import_session(&self, SessionFile(later): SessionFile) -> Result<Imported, AppError> {
        let held = self.store().snapshot()?.cloud_account()?;
        let items = later.items.len();
        let (session, merged) = match &held {
            Some(held) => {
                let mut session = Session::decode(held.session.expose())?;
                let merged = session.merge(later)?;
                (session, Some(merged))
            }
            None => (later, None),
        };
        let imported = Imported {
            is_first: merged.is_none(),
            has_new_tokens: merged.is_none_or(|merged| merged.has_new_tokens),
            new_items: merged.map_or(items, |merged| merged.new_items),
            items: session.items.len(),
            unreadable: unreadable(&session),
            handles: session.handles.len(),
        };
        let device = match held.as_ref().and_then(|held| held.device.clone()) {
            Some(device) => Some(device),
            None if session.device.is_some() => None,
            None => Some(invented()?),
        };
        let account = CloudAccount {
            session: session.encode(),
            imports: held.as_ref().map_or(0, |held| held.imports) + 1,
            imported: self.clock().now(),
            device,
            user_id: held.and_then(|held| held.user_id),
        };
        let put = |tx: &mut Transaction<'_>| Ok::<_, AppError>(tx.put_cloud_account(&account)?);
        self.store().write(put)?;
        Ok(imported)
    }

    /// Forgets the session, and where reading goes on. What was read stays. Says whether there was one.
    ///
    /// # Errors
    ///
    /// When the archive cannot be written.
    pub fn forget_session(&self) -> Result<bool, AppError> {
        if self.store().snapshot()?.cloud_account()?.is_none() {
            return Ok(false);
        }
        let forget = |tx: &mut Transaction<'_>| Ok::<_, AppError>(tx.forget_cloud_account()?);
        self.store().write(forget)?;
        Ok(true)
    }

    /// Whether there is a session to read Messages in iCloud with.
    pub(crate) fn has_session(&self) -> Result<bool, AppError> {
        Ok(self.store().snapshot()?.cloud_account()?.is_some())
    }
}

/// A device that does not exist, as the store keeps it: each new one would be another device of the account.
fn invented() -> Result<Secret<Vec<u8>>, AppError> {
    let device = Device::invent()?;
    // Texts have no way to fail.
    Ok(Secret::new(serde_json::to_vec(&device).unwrap_or_default()))
}

fn unreadable(session: &Session) -> Vec<String> {
    let keychain = Keychain::read(&session.items);
    let unreadable = keychain.unreadable.iter();
    unreadable
        .map(|(item, error)| format!("{item}: {error}"))
        .collect()
}

/// A session file, if it is not larger than one can be.
fn read(file: &Path) -> io::Result<Secret<Vec<u8>>> {
    let mut json = Vec::new();
    File::open(file)?
        .take(SESSION_FILE_BYTES + 1)
        .read_to_end(&mut json)?;
    if json.len() as u64 > SESSION_FILE_BYTES {
        return Err(io::Error::other("it is larger than any session"));
    }
    Ok(Secret::new(json))
}
