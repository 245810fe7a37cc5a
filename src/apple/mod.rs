//! Keys of an Apple account and what they open. Pure: bytes and keys in, plaintext or the reason out; no network, no store.
//!
//! ```text
//! keychain item -> identity -> zone protection -> zone keys -> record protection -> record keys -> fields, asset keys
//!                                                        record's own protection -> record keys /
//! ```
//!
//! | file | what |
//! |---|---|
//! | `session` | what the owner imports: tokens, device, keychain items |
//! | `der` | the few constructs of DER that are used |
//! | `key` | compact elliptic keys, symmetric keys and what is derived from them |
//! | `wrap` | a key, wrapped for an elliptic key |
//! | `envelope` | AES-GCM with a key's id in front |
//! | `identity` | the identities of a keychain |
//! | `protection` | the DER that holds the keys of a zone or a record |
//! | `zone` | the keys of a zone, and records opened with them |
//! | `seal` | the way back, for the loopback iCloud: identities and protections |
//! | `asset` | key blobs, chunks, and files put together from them |
//!
//! Source: facts of CloudKit, 4, 5 and 6. The chain was checked between two implementations that agree, never against
//! Apple's servers.

#![warn(clippy::arithmetic_side_effects, clippy::as_conversions)]

pub mod asset;
mod der;
pub mod envelope;
pub mod identity;
pub mod key;
pub mod protection;
pub mod seal;
pub mod session;
mod wrap;
pub mod zone;

pub use der::DerError;
pub use wrap::WrapError;

/// Bytes as hexadecimal digits, for the beginnings of key ids in errors: they name keys and tell nothing of them.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a string has no way to fail.
        if write!(text, "{byte:02x}").is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test stops at the first surprise"
)]
mod tests;
