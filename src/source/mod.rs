//! Where records come from. A source reads and decides nothing; it never sees the store.

pub mod chatdb;
pub mod cloudkit;
