//! Records to changes, per source. Pure.

#![warn(clippy::arithmetic_side_effects, clippy::as_conversions)]

pub mod chatdb;
pub mod cloudkit;
pub mod inspect;

pub use crate::codec::sticker::effect as sticker_effect;
