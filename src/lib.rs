//! footbridge: one binary and one file that hold a person's whole iMessage history, keep following it, and show it
//! in Matrix.
//!
//! Everything moves along one line:
//!
//! ```text
//! source -> record -> decode -> normalise -> store (one transaction) -> { timeline, change log } -> destination
//! ```
//!
//! To follow one chat.db row to a line of the export, read in this order:
//!
//! 1. [`source::chatdb`] reads the row with its joins: a [`model::record::MessageRecord`]. It decides nothing.
//! 2. [`decode::chatdb`] turns that record into a [`model::change::MessageChange`], or says why its body is
//!    unreadable, with the byte formats of [`codec`]. Pure.
//! 3. [`ingest`] takes slices of rows through the decoders in parallel and hands them on as pages.
//! 4. [`store`] commits a page: the record as it was read, the message, its place in the timeline, the GUID index,
//!    the search postings, the change log and the source's cursor, in one transaction.
//! 5. [`app::export`] walks the store and writes the line.
//!
//! # Layers
//!
//! A module may import only the modules named in its row; `tests/layers.rs` keeps it so.
//!
//! | module | responsibility | may import |
//! |---|---|---|
//! | [`base`] | ids, time and clock, limits, secrets, passwords, tasks, error classes | (nothing of ours) |
//! | [`net`] | HTTP: a server with TLS, a router and guards; a client | base |
//! | [`codec`] | byte formats without meaning: typedstream, property lists, keyed archives, CloudKit, MMCS | base |
//! | [`apple`] | keys of an Apple account and what they open: zones, records, assets | base, codec |
//! | [`model`] | domain nouns and pure rules: record, change, message, conversation, handle | base |
//! | [`decode`] | record to change, per source | base, codec, model |
//! | [`store`] | the redb file: tables, values, page commit, timeline, search, verify | base, model |
//! | [`source`] | where records come from: `chatdb`, `cloudkit` | base, net, codec, apple, model |
//! | [`matrix`] | model to Matrix: ids, event content, generated state, client JSON | base, model |
//! | [`ingest`] | drives a source into the store | base, codec, apple, model, decode, store, source |
//! | [`deliver`] | what clients see: the embedded client-server endpoint | base, net, model, store, matrix |
//! | [`demo`] | an invented account, and a server that speaks CloudKit's protocol over it | base, net, codec, apple, model |
//! | [`app`] | what a person can ask of the archive, as plain values; the configuration; the running service | all of the above except codec, matrix |
//! | [`cli`] | arguments, progress, and the one place that prints errors | base, app |

pub mod app;
pub mod apple;
pub mod base;
pub mod cli;
pub mod codec;
pub mod decode;
pub mod deliver;
pub mod demo;
pub mod ingest;
pub mod matrix;
pub mod model;
pub mod net;
pub mod source;
pub mod store;
