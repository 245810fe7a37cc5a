//! Media ids: the same for a file for good, and not to be guessed, because old clients fetch without a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::ids::AttachmentGuid;
use crate::base::keyed::KeyedHash;
use crate::matrix::ids::ServerName;

/// Bytes of the code that an id shows: 24 characters.
const ID_BYTES: usize = 18;

/// The secret of this archive that media ids are made with.
#[derive(Clone, Debug)]
pub struct MediaSecret(KeyedHash);

impl MediaSecret {
    /// From the store.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(KeyedHash::new(secret))
    }

    /// The id of a file: 24 characters of `A-Za-z0-9_-`, of HMAC-SHA256 over the GUID in upper case.
    pub fn media_id(&self, attachment: &AttachmentGuid) -> String {
        let code = self.0.of(attachment.folded());
        URL_SAFE_NO_PAD.encode(code.get(..ID_BYTES).unwrap_or_default())
    }

    /// The URL of a file: `mxc://<server name>/<id>`.
    pub fn url(&self, server: &ServerName, attachment: &AttachmentGuid) -> String {
        format!("mxc://{}/{}", server.as_str(), self.media_id(attachment))
    }
}

#[cfg(test)]
mod tests {
    use super::MediaSecret;
    use crate::base::ids::AttachmentGuid;
    use crate::matrix::ids::ServerName;

    #[test]
    fn an_id_belongs_to_the_file_and_the_secret() {
        let guid = AttachmentGuid::parse("at_0_1A2B3C4D-0001-4002-8003-ABCDEF012345").unwrap();
        let folded = AttachmentGuid::parse("AT_0_1a2b3c4d-0001-4002-8003-abcdef012345").unwrap();
        let server = ServerName::parse("example.org").unwrap();
        let secret = MediaSecret::new(&[7; 32]);

        let url = secret.url(&server, &guid);

        assert_eq!(url, "mxc://example.org/MYMi_NDY4frjacHwWGLMnctv");
        assert_eq!(secret.url(&server, &folded), url);
        assert_ne!(MediaSecret::new(&[8; 32]).url(&server, &guid), url);
    }
}
