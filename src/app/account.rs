//! The owner's account at the endpoint: its name, its password, and where the first password waits to be read.

use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::settings::EndpointSettings;
use crate::app::settings::host_name;
use crate::base::limits::PASSWORD_LETTERS;
use crate::base::password;
use crate::base::secret::SecretText;
use crate::store::Snapshot;
use crate::store::Transaction;
use crate::store::account::Account;
use crate::store::value::User;

/// The first password's file, beside the archive.
const INITIAL_PASSWORD: &str = "initial-password";

/// A longer one is no password, bytes.
const PASSWORD_BYTES: usize = 1_024;

/// Who can log in.
#[derive(Clone, Debug)]
pub struct Owner {
    /// `@owner:host`.
    pub user_id: String,
    /// The part after the colon.
    pub server_name: String,
    /// The password that was made up, if the account is new.
    pub password: Option<SecretText>,
}

/// Whether whoever is logged in stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// They stay.
    Keep,
    /// Every client must log in again.
    End,
}

impl Archive {
    /// The server's name: the one asked for, the archive's, or this computer's.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read.
    pub(crate) fn server_name(&self, wanted: &EndpointSettings) -> Result<String, AppError> {
        let held = self.store().snapshot()?.server_name()?;
        let asked = wanted.server_name.clone();
        Ok(asked.or(held).unwrap_or_else(host_name))
    }

    /// The owner's account; it is made if there is none, with a password that is made up.
    ///
    /// # Errors
    ///
    /// [`AppError::Store`] when the archive has another server name, or cannot be read or written;
    /// [`AppError::OtherUser`] when its owner has another name.
    pub(crate) fn owner(&self, wanted: &EndpointSettings) -> Result<Owner, AppError> {
        let snapshot = self.store().snapshot()?;
        let (held, user) = (snapshot.server_name()?, snapshot.user(Account::OWNER)?);
        let server_name = self.server_name(wanted)?;
        let mut made = None;
        let name = match user {
            Some(user) if wanted.user.as_deref().is_none_or(|name| name == user.name) => {
                // Nothing is written when nothing is new: a full disk must not keep the service from starting.
                if held.as_ref() != Some(&server_name) {
                    let name = |tx: &mut Transaction<'_>| Ok(tx.set_server_name(&server_name)?);
                    self.store().write::<AppError>(name)?;
                }
                user.name
            }
            Some(user) => {
                return Err(AppError::OtherUser {
                    held: user.name,
                    asked: wanted.user.clone().unwrap_or_default(),
                });
            }
            None => {
                let password = password::make()?;
                let name = wanted.user_name().to_owned();
                let user = User {
                    name: name.clone(),
                    password: password::hash(&password)?,
                    created: self.clock().now(),
                };
                self.store().write(|tx| {
                    tx.set_server_name(&server_name)?;
                    Ok::<_, AppError>(tx.put_user(Account::OWNER, &user)?)
                })?;
                made = Some(password);
                name
            }
        };
        Ok(Owner {
            user_id: format!("@{name}:{server_name}"),
            server_name,
            password: made,
        })
    }

    /// Sets the owner's password. The first one's file is removed.
    ///
    /// # Errors
    ///
    /// [`AppError::Argument`] for a password that is none; [`AppError::NoAccount`] before the service ran for the first
    /// time; when the archive cannot be written.
    pub fn set_password(&self, password: &SecretText, sessions: Sessions) -> Result<(), AppError> {
        let text = password.expose();
        if text.chars().count() < PASSWORD_LETTERS || text.len() > PASSWORD_BYTES {
            return Err(AppError::Password {
                least: PASSWORD_LETTERS,
            });
        }
        let snapshot = self.store().snapshot()?;
        let user = snapshot.user(Account::OWNER)?.ok_or(AppError::NoAccount)?;
        let user = User {
            password: password::hash(password)?,
            ..user
        };
        let devices = match sessions {
            Sessions::Keep => Vec::new(),
            Sessions::End => snapshot.devices(Account::OWNER)?,
        };
        self.store().write(|tx: &mut Transaction<'_>| {
            tx.put_user(Account::OWNER, &user)?;
            for (device, _) in &devices {
                tx.remove_device(Account::OWNER, device)?;
            }
            Ok::<_, AppError>(())
        })?;
        if let Some(archive) = self.store().path() {
            forget_first_password(archive);
        }
        Ok(())
    }
}

/// Whether anybody has logged in.
pub(crate) fn has_logged_in(snapshot: &Snapshot) -> Result<bool, AppError> {
    Ok(!snapshot.devices(Account::OWNER)?.is_empty())
}

/// Where an archive's first password waits.
pub(crate) fn first_password_file(archive: &Path) -> PathBuf {
    archive.with_file_name(INITIAL_PASSWORD)
}

/// Writes the first password where its owner alone can read it.
pub(crate) fn write_first_password(
    archive: &Path,
    password: &SecretText,
) -> Result<PathBuf, AppError> {
    let path = first_password_file(archive);
    forget_first_password(archive);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| {
            writeln!(file, "{}", password.expose())?;
            file.sync_all()
        });
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(AppError::File { path, source }),
    }
}

/// Removes the first password's file, if it is there.
pub(crate) fn forget_first_password(archive: &Path) {
    match fs::remove_file(first_password_file(archive)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "initial-password not removed");
        }
        Ok(()) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::app::settings::Tls;
    use crate::store::value::Device;

    fn wanted(server_name: Option<&str>, user: Option<&str>) -> EndpointSettings {
        EndpointSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            server_name: server_name.map(str::to_owned),
            user: user.map(str::to_owned),
            public_url: None,
            tls: Tls::Off,
            insecure: false,
            allowed_origins: Vec::new(),
        }
    }

    fn archive(folder: &Path) -> Archive {
        Archive::open_or_create(&folder.join("a.redb")).unwrap()
    }

    fn user(archive: &Archive) -> User {
        let snapshot = archive.store().snapshot().unwrap();
        snapshot.user(Account::OWNER).unwrap().unwrap()
    }

    #[test]
    fn the_account_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());

        let made = archive.owner(&wanted(Some("a.example"), None)).unwrap();
        let held = archive.owner(&wanted(None, None)).unwrap();
        let other = archive.owner(&wanted(None, Some("me")));

        assert_eq!(made.user_id, "@owner:a.example");
        assert_eq!(held.user_id, made.user_id);
        assert!(held.password.is_none());
        assert!(password::is_right(
            &made.password.unwrap(),
            &user(&archive).password
        ));
        assert!(matches!(other, Err(AppError::OtherUser { .. })));
    }

    #[test]
    fn a_new_password_ends_sessions_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        archive.owner(&wanted(Some("a.example"), None)).unwrap();
        let device = Device {
            token: Some([1; 32]),
            ..Device::default()
        };
        let logged_in = |tx: &mut Transaction<'_>| {
            tx.put_device(Account::OWNER, "LAPTOP", &device)?;
            Ok::<_, AppError>(())
        };
        archive.store().write(logged_in).unwrap();
        let devices = || {
            let snapshot = archive.store().snapshot().unwrap();
            snapshot.devices(Account::OWNER).unwrap().len()
        };
        let password = SecretText::from("correct horse".to_owned());

        archive.set_password(&password, Sessions::Keep).unwrap();
        let kept = devices();
        archive.set_password(&password, Sessions::End).unwrap();

        assert_eq!((kept, devices()), (1, 0));
        assert!(password::is_right(&password, &user(&archive).password));
    }

    #[test]
    fn a_file_that_waits_is_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.redb");
        let text = |text: &str| SecretText::from(text.to_owned());

        write_first_password(&archive, &text("one")).unwrap();
        let path = write_first_password(&archive, &text("two")).unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        forget_first_password(&archive);
        assert!(!path.exists());
    }
}
