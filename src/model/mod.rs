//! The nouns of iMessage and the pure rules about them. It never sees bytes of a format, redb, SQLite or Matrix.

pub mod attachment;
pub mod body;
pub mod change;
pub mod contact;
pub mod conversation;
pub mod handle;
pub mod identity;
pub mod message;
pub mod people;
pub mod record;
pub mod region;
pub mod tapback;
