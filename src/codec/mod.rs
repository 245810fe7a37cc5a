//! Byte formats without meaning. Pure: bytes in, values or an error with the offset out; nothing here panics, recurses
//! or allocates without a bound.

#![warn(clippy::arithmetic_side_effects, clippy::as_conversions)]

pub(crate) mod budget;
pub mod cloudkit;
pub mod digital_touch;
pub mod handwriting;
pub mod keyed_archive;
pub mod mmcs;
pub mod property_list;
pub mod sticker;
pub mod summary_info;
pub mod typedstream;
pub(crate) mod url;
