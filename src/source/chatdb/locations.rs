//! Where the files of a Messages database are. Names only: nothing is opened here.
//!
//! | file | on a Mac, below `~/Library` |
//! |---|---|
//! | the database | `Messages/chat.db`, with `chat.db-wal` beside it |
//! | attachments | `Messages/Attachments`, `Messages/StickerCache` |
//! | address books | `Application Support/AddressBook/Sources/*/AddressBook-v22.abcddb`, and one at the top |
//!
//! Source: `[obs]` macOS 10.15 to 26, `facts` 1.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The name of an address book's database.
const ADDRESS_BOOK: &str = "AddressBook-v22.abcddb";

/// Where a Messages database and what belongs to it are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    /// The database itself.
    pub database: PathBuf,
    /// `~/Library/Messages` of the database's owner, where `~/Library/Messages/...` of filenames leads: the folder of
    /// the database, unless set otherwise. So an `Attachments` folder beside a copied database is found.
    pub messages_folder: PathBuf,
    /// Takes the place of `~/Library/Messages/Attachments`.
    pub attachments: Option<PathBuf>,
    /// The owner's address books, as far as there are any.
    pub address_books: Vec<PathBuf>,
}

impl Locations {
    /// From the database's path, and the folder that takes the place of `~/Library/Messages/Attachments`.
    ///
    /// Links are followed to the database itself, since SQLite looks for the write-ahead log there. A database that
    /// does not exist keeps its path; opening it says so.
    pub fn new(database: &Path, attachments: Option<&Path>) -> Self {
        let database = fs::canonicalize(database).unwrap_or_else(|_absent| database.to_owned());
        let messages_folder = match database.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let address_books = address_books(&messages_folder);
        Self {
            database,
            messages_folder,
            attachments: attachments.map(Path::to_owned),
            address_books,
        }
    }
}

/// The address books of the Mac that the folder belongs to, and those that were copied beside the database.
fn address_books(messages: &Path) -> Vec<PathBuf> {
    let mut books = Vec::new();
    if let Some(library) = messages.parent() {
        let top = library.join("Application Support").join("AddressBook");
        let sources = files_in(&top.join("Sources"));
        books.extend(sources.into_iter().map(|source| source.join(ADDRESS_BOOK)));
        books.push(top.join(ADDRESS_BOOK));
    }
    books.extend(files_in(messages).into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("AddressBook") && name.ends_with(".abcddb")
    }));
    books.retain(|book| book.is_file());
    books
}

/// What is in a folder, by name; nothing if it cannot be read.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Locations;

    #[test]
    fn address_books_of_every_account_are_found() {
        let home = tempfile::tempdir().unwrap();
        let library = fs::canonicalize(home.path()).unwrap().join("Library");
        let books = library.join("Application Support/AddressBook");
        let messages = library.join("Messages");
        fs::create_dir_all(books.join("Sources/B")).unwrap();
        fs::create_dir_all(books.join("Sources/A")).unwrap();
        fs::create_dir_all(books.join("Sources/empty")).unwrap();
        fs::create_dir_all(&messages).unwrap();
        for source in ["Sources/B", "Sources/A", "."] {
            fs::write(books.join(source).join("AddressBook-v22.abcddb"), "").unwrap();
        }
        fs::write(messages.join("AddressBook-v22.abcddb"), "").unwrap();
        fs::write(messages.join("AddressBook-v22.abcddb-wal"), "").unwrap();
        fs::write(messages.join("chat.db"), "").unwrap();

        let locations = Locations::new(&messages.join("chat.db"), None);

        assert_eq!(locations.messages_folder, messages);
        assert_eq!(
            locations.address_books,
            [
                books.join("Sources/A/AddressBook-v22.abcddb"),
                books.join("Sources/B/AddressBook-v22.abcddb"),
                books.join("AddressBook-v22.abcddb"),
                messages.join("AddressBook-v22.abcddb"),
            ]
        );
    }

    #[test]
    fn a_link_leads_to_the_folder_of_the_database_itself() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap().join("Messages");
        fs::create_dir(&real).unwrap();
        fs::write(real.join("chat.db"), "").unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(real.join("chat.db"), &link).unwrap();

        let locations = Locations::new(&link, None);

        assert_eq!(locations.database, real.join("chat.db"));
        assert_eq!(locations.messages_folder, real);
    }
}
