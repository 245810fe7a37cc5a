//! Where the endpoint gets the files of attachments from that are not in the store: the folders of the source, and
//! Messages in iCloud.

use std::fs::File;
use std::sync::Arc;

use crate::base::ids::RowId;
use crate::deliver::endpoint::MediaFiles;
use crate::ingest::assets::Wishes;
use crate::model::attachment::Attachment;
use crate::net::BoxFuture;
use crate::source::chatdb::Files;
use crate::source::chatdb::Locations;

/// The files of a Messages database, where they lie.
#[derive(Clone, Debug)]
pub struct SourceFiles(Files);

impl SourceFiles {
    /// Those of the source that was configured. Its folders are looked for once; one that does not exist holds nothing.
    pub fn new(locations: &Locations) -> Self {
        Self(Files::new(locations))
    }
}

impl MediaFiles for SourceFiles {
    fn open(&self, attachment: &Attachment) -> Option<File> {
        self.0.file(attachment.path.as_deref())
    }
}

/// Files of some place, and those that can be fetched from Messages in iCloud.
pub struct FetchedFiles {
    files: Arc<dyn MediaFiles>,
    wishes: Wishes,
}

impl FetchedFiles {
    /// Those of a place, and what the queue brings that hears of the wishes.
    pub fn new(files: Arc<dyn MediaFiles>, wishes: Wishes) -> Self {
        Self { files, wishes }
    }
}

impl MediaFiles for FetchedFiles {
    fn open(&self, attachment: &Attachment) -> Option<File> {
        self.files.open(attachment)
    }

    fn fetch(&self, row: RowId) -> BoxFuture<'_, bool> {
        Box::pin(self.wishes.fetch(row))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    fn attachment(path: Option<&str>) -> Attachment {
        Attachment {
            path: path.map(str::to_owned),
            ..Attachment::wanted("AT_0_1A2B3C4D-0001-4002-8003-ABCDEF012345")
        }
    }

    #[test]
    fn only_files_of_the_source_are_opened() {
        let (messages, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| messages.path().join(name);
        fs::create_dir_all(at("Attachments/a")).unwrap();
        fs::write(at("Attachments/a/b.txt"), "abc").unwrap();
        fs::write(at("chat.db"), "").unwrap();
        let secret = outside.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        symlink(&secret, at("Attachments/link")).unwrap();
        symlink(outside.path(), at("Attachments/folder")).unwrap();
        let files = SourceFiles::new(&Locations::new(&at("chat.db"), None));
        let mut text = String::new();

        let file = files.open(&attachment(Some("~/Library/Messages/Attachments/a/b.txt")));

        file.unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        for path in [
            "~/Library/Messages/Attachments/link",
            "~/Library/Messages/Attachments/folder/secret",
            "~/Library/Messages/Attachments/../../secret",
            "~/Library/Messages/Attachments/a",
            "/etc/passwd",
            secret.to_str().unwrap(),
        ] {
            assert!(files.open(&attachment(Some(path))).is_none(), "{path}");
        }
        assert!(files.open(&attachment(None)).is_none());
    }
}
