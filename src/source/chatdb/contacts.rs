//! Cards of the Mac's address books, which are Core Data databases whose columns vary.
//!
//! | table | holds |
//! |---|---|
//! | `ZABCDRECORD` | cards, groups and containers; `Z_ENT` says which |
//! | `Z_PRIMARYKEY` | `Z_ENT` by name: people are `ABCDContact` and `ABCDSubscribedContact` |
//! | `ZABCDPHONENUMBER`, `ZABCDEMAILADDRESS` | addresses; `ZOWNER` is the card's `Z_PK` |
//!
//! Source: `[obs]` AddressBook-v22; `facts` 12.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use sha2::Digest;
use sha2::Sha256;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::source::chatdb::error::ChatDbError;
use crate::source::chatdb::open::open;
use crate::source::chatdb::open::retried;
use crate::source::chatdb::rows::integer;
use crate::source::chatdb::rows::text;
use crate::source::chatdb::schema::Tables;

/// `Z_ENT` of people where the database does not name its entities.
const PEOPLE: [i64; 2] = [22, 23];

/// A person's card as an address book holds it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CardRow {
    /// `ZUNIQUEID`; where a card has none, the key of its row with a mark of its book: rows of two books count from one each.
    pub id: String,
    /// `ZFIRSTNAME`.
    pub first: Option<String>,
    /// `ZMIDDLENAME`.
    pub middle: Option<String>,
    /// `ZLASTNAME`.
    pub last: Option<String>,
    /// `ZNICKNAME`.
    pub nickname: Option<String>,
    /// `ZORGANIZATION`.
    pub organization: Option<String>,
    /// Phone numbers as they were typed, in the order in which they were added.
    pub phones: Vec<String>,
    /// E-mail addresses as they were typed; a field may hold several.
    pub emails: Vec<String>,
    /// Whether it is the card of the Mac's owner.
    pub is_owner: bool,
    /// `ZLINKID`: cards with the same one, in any book, are one person.
    pub link: Option<String>,
}

/// Names and addresses are private: logs show none.
impl fmt::Debug for CardRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardRow")
            .field("phones", &self.phones.len())
            .field("emails", &self.emails.len())
            .field("is_owner", &self.is_owner)
            .finish_non_exhaustive()
    }
}

/// Reads all cards of some books, and says of which books none could be read and why.
pub(super) fn read(books: &[PathBuf]) -> Result<(Vec<CardRow>, Vec<String>), ChatDbError> {
    let mut cards = Vec::new();
    let mut unread = Vec::new();
    for book in books {
        match read_book(book) {
            Ok(more) => cards.extend(more),
            Err(error) if error.class() == Class::Retry => return Err(error),
            Err(error) => unread.push(format!("an address book was passed over: {error}")),
        }
    }
    Ok((cards, unread))
}

fn read_book(book: &Path) -> Result<Vec<CardRow>, ChatDbError> {
    let opened = open(book)?;
    let connection = &opened.connection;
    let from_sqlite = |source| ChatDbError::from_sqlite(book, source);
    let tables = retried(|| Tables::probe(connection)).map_err(from_sqlite)?;
    if !tables.has_columns("zabcdrecord", &["Z_PK"]) {
        return Err(ChatDbError::NotAnAddressBook {
            path: book.to_owned(),
        });
    }
    retried(|| {
        let transaction = connection.unchecked_transaction()?;
        read_cards(&transaction, &tables, &mark(book))
    })
    .map_err(from_sqlite)
}

/// Tells a book from others without telling where it is.
fn mark(book: &Path) -> String {
    let digest = Sha256::digest(book.as_os_str().as_encoded_bytes());
    let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    digest.collect()
}

fn read_cards(
    connection: &Connection,
    tables: &Tables,
    mark: &str,
) -> rusqlite::Result<Vec<CardRow>> {
    let mut phones = addresses(connection, tables, "zabcdphonenumber", "ZFULLNUMBER")?;
    let mut emails = addresses(connection, tables, "zabcdemailaddress", "ZADDRESS")?;
    let people = people(connection, tables)?;
    let column = |name| tables.column("zabcdrecord", name);
    let mut statement = connection.prepare(&format!(
        "SELECT Z_PK, {}, {} IS NOT NULL, {}, {}, {}, {}, {}, {}, {} FROM ZABCDRECORD ORDER BY Z_PK",
        column("Z_ENT"),
        column("ZCONTAINERWHERECONTACTISME"),
        column("ZUNIQUEID"),
        column("ZLINKID"),
        column("ZFIRSTNAME"),
        column("ZMIDDLENAME"),
        column("ZLASTNAME"),
        column("ZNICKNAME"),
        column("ZORGANIZATION"),
    ))?;
    let mut rows = statement.query([])?;
    let mut cards = Vec::new();
    while let Some(row) = rows.next()? {
        let key = integer(row, 0)?;
        if !people.contains(&integer(row, 1)?) {
            continue;
        }
        cards.push(CardRow {
            is_owner: row.get(2)?,
            id: text(row, 3)?.unwrap_or_else(|| format!("{key}@{mark}")),
            link: text(row, 4)?,
            first: text(row, 5)?,
            middle: text(row, 6)?,
            last: text(row, 7)?,
            nickname: text(row, 8)?,
            organization: text(row, 9)?,
            phones: phones.remove(&key).unwrap_or_default(),
            emails: emails.remove(&key).unwrap_or_default(),
        });
    }
    Ok(cards)
}

/// The `Z_ENT` of people.
fn people(connection: &Connection, tables: &Tables) -> rusqlite::Result<Vec<i64>> {
    if !tables.has_columns("z_primarykey", &["Z_ENT", "Z_NAME"]) {
        return Ok(PEOPLE.to_vec());
    }
    connection
        .prepare(
            "SELECT Z_ENT FROM Z_PRIMARYKEY WHERE Z_NAME IN ('ABCDContact', 'ABCDSubscribedContact')",
        )?
        .query_map([], |row| integer(row, 0))?
        .collect()
}

/// The addresses of a table by the card that they are on.
fn addresses(
    connection: &Connection,
    tables: &Tables,
    table: &str,
    column: &str,
) -> rusqlite::Result<HashMap<i64, Vec<String>>> {
    let mut addresses: HashMap<i64, Vec<String>> = HashMap::new();
    if !tables.has_columns(table, &["ZOWNER", column]) {
        return Ok(addresses);
    }
    let sql = format!("SELECT ZOWNER, {column} FROM {table} ORDER BY ROWID");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(address) = text(row, 1)? {
            addresses.entry(integer(row, 0)?).or_default().push(address);
        }
    }
    Ok(addresses)
}
