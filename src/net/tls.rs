//! Encryption of connections: the certificate, from files that may be renewed or made by us, and what rustls needs. It
//! asks no authority for a certificate.

use std::fmt;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use sha2::Digest;
use sha2::Sha256;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::limits::CERTIFICATE_CHECK;
use crate::base::limits::PEM_BYTES;
use crate::base::secret::Secret;
use crate::base::tasks::TaskGroup;

/// HTTP/2 in the handshake.
pub(crate) const ALPN_HTTP2: &[u8] = b"h2";

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot {attempt} {path}")]
    File {
        /// `read` or `write`.
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file has no certificate or no key in it.
    #[error("{path} has no {wanted} in PEM form")]
    Pem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// What is wrong with it.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate and the key do not fit each other, or are of a kind that we do not know.
    #[error("cannot use the certificate {chain} with the key {key}")]
    Unusable {
        /// The file of the certificate chain.
        chain: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// A name for the certificate is neither a host name nor an address.
    #[error("{name} is neither a host name nor an address")]
    Name {
        /// The name.
        name: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Make {
        /// What rcgen said.
        #[source]
        source: rcgen::Error,
    },
}

impl Explain for TlsError {
    fn class(&self) -> Class {
        match self {
            Self::File { .. } => Class::Owner,
            Self::Pem { .. } | Self::Unusable { .. } | Self::Name { .. } => Class::Usage,
            Self::Make { .. } => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Pem { wanted, .. } => Some(format!(
                "the file must have a block that begins `-----BEGIN {}`",
                wanted.to_ascii_uppercase()
            )),
            Self::Unusable { .. } => Some(
                "give the key of the first certificate in the chain, without a password".to_owned(),
            ),
            Self::File { .. } | Self::Name { .. } | Self::Make { .. } => None,
        }
    }
}

/// The SHA-256 of a certificate, as people compare it: `AB:CD:...`, 32 pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER form.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

/// The certificate that connections are encrypted with now.
pub struct Tls {
    chain: PathBuf,
    key: PathBuf,
    /// When the files were changed last, as of the last time they were looked at.
    seen: Mutex<Seen>,
    current: RwLock<Current>,
}

type Seen = [Option<SystemTime>; 2];

struct Current {
    config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
}

impl Tls {
    /// From PEM files: the certificate with the chain above it, and its key. One file may have both.
    ///
    /// Blocks for a moment.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
            // Before reading: what is written in between is read again later.
            seen: Mutex::new(changed(chain, key)),
            current: RwLock::new(load(chain, key)?),
        })
    }

    /// The fingerprint of the certificate that is in use now.
    pub fn fingerprint(&self) -> Fingerprint {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .fingerprint
    }

    /// Reads the files again if they were changed since they were last looked at, and returns whether they were. New
    /// connections then get the new certificate.
    ///
    /// Blocks for a moment.
    ///
    /// # Errors
    /// [`TlsError`]; the old certificate stays in use, and the files are not read again before they change once more.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = changed(&self.chain, &self.key);
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        let current = load(&self.chain, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(true)
    }

    /// Starts to look for renewed files, once each [`CERTIFICATE_CHECK`], until the group stops.
    pub fn watch(self: &Arc<Self>, group: &TaskGroup) {
        let (tls, stop) = (Arc::clone(self), group.stop().clone());
        group.spawn("certificate", async move {
            while stop
                .run_until_cancelled(sleep(CERTIFICATE_CHECK))
                .await
                .is_some()
            {
                let tls = Arc::clone(&tls);
                match spawn_blocking(move || tls.refresh()).await {
                    Ok(Ok(true)) => tracing::info!("certificate renewed"),
                    Ok(Ok(false)) | Err(_) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "certificate not renewed"),
                }
            }
        });
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", self.fingerprint())
    }
}

fn changed(chain: &Path, key: &Path) -> Seen {
    [chain, key].map(|path| fs::metadata(path).ok()?.modified().ok())
}

fn load(chain: &Path, key: &Path) -> Result<Current, TlsError> {
    let certificates = read_certificates(chain)?;
    let text = read(key)?;
    let private = PrivateKeyDer::from_pem_slice(text.expose()).map_err(|source| TlsError::Pem {
        path: key.to_owned(),
        wanted: "private key",
        source,
    })?;
    let fingerprint = Fingerprint::of(certificates.first().map_or(&[][..], |first| first));
    let unusable = |source| TlsError::Unusable {
        chain: chain.to_owned(),
        key: key.to_owned(),
        source,
    };
    // The provider is named, because rustls panics when it has to choose and nobody told it.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(Current {
        config: Arc::new(config),
        fingerprint,
    })
}

/// The certificates of a PEM file, at least one.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem {
        path: path.to_owned(),
        wanted: "certificate",
        source,
    };
    let text = read(path)?;
    let found = CertificateDer::pem_slice_iter(text.expose()).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(pem)?;
    if found.is_empty() {
        return Err(pem(rustls_pki_types::pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Secret<Vec<u8>>, TlsError> {
    let read = || {
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        file.take(PEM_BYTES).read_to_end(&mut bytes)?;
        Ok(Secret::new(bytes))
    };
    read().map_err(|source| TlsError::File {
        attempt: "read",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    use tempfile::TempDir;

    use super::Fingerprint;
    use super::Tls;
    use super::TlsError;
    use crate::base::time::AppleTime;
    use crate::base::time::FixedClock;

    const CLOCK: FixedClock = FixedClock(AppleTime::from_nanos(0));

    /// A folder with two certificates.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            let path = folder.path().join(name);
            Tls::self_signed(&path, &["localhost".to_owned()], &CLOCK).unwrap();
        }
        folder
    }

    #[test]
    fn fingerprints_read_like_those_of_other_programs() {
        let shown = Fingerprint::of(b"abc").to_string();

        assert!(shown.starts_with("BA:78:16:BF:"));
        assert_eq!(shown.len(), 32 * 3 - 1);
    }

    #[test]
    fn renewed_files_are_read_again_and_broken_ones_change_nothing() {
        let folder = folder();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        let tls = Tls::from_files(&a, &a).unwrap();
        let first = tls.fingerprint();
        let mut at = UNIX_EPOCH;
        let mut write = |content: &[u8]| {
            fs::write(&a, content).unwrap();
            at += Duration::from_secs(1);
            File::options()
                .append(true)
                .open(&a)
                .unwrap()
                .set_modified(at)
                .unwrap();
        };

        assert!(!tls.refresh().unwrap());
        write(b"broken");
        assert!(tls.refresh().is_err());
        assert!(!tls.refresh().unwrap());
        assert_eq!(tls.fingerprint(), first);
        write(&fs::read(&b).unwrap());
        assert!(tls.refresh().unwrap());
        assert_ne!(tls.fingerprint(), first);
        assert_eq!(
            tls.fingerprint(),
            Tls::from_files(&b, &b).unwrap().fingerprint()
        );
    }

    #[test]
    fn files_that_are_no_certificate_are_told_apart() {
        let folder = folder();
        let [a, b, empty] = ["a", "b", "empty"].map(|name| folder.path().join(name));
        fs::write(&empty, "").unwrap();

        let missing = Tls::from_files(&folder.path().join("none"), &a).unwrap_err();
        let no_chain = Tls::from_files(&empty, &a).unwrap_err();
        let no_key = Tls::from_files(&a, &empty).unwrap_err();
        let other_key = Tls::from_files(&a, &b).unwrap_err();

        assert!(matches!(
            missing,
            TlsError::File {
                attempt: "read",
                ..
            }
        ));
        assert!(matches!(
            no_chain,
            TlsError::Pem {
                wanted: "certificate",
                ..
            }
        ));
        assert!(matches!(
            no_key,
            TlsError::Pem {
                wanted: "private key",
                ..
            }
        ));
        assert!(matches!(other_key, TlsError::Unusable { .. }));
    }
}
