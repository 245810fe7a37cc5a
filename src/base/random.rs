//! Random bytes of the operating system.

/// The system has no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random bytes: {reason}")]
pub struct NoRandomBytes {
    /// Its answer.
    reason: String,
}

/// As many as are asked for.
///
/// # Errors
///
/// [`NoRandomBytes`].
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomBytes> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NoRandomBytes {
        reason: error.to_string(),
    })?;
    Ok(bytes)
}
