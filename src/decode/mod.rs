//! Records to changes, per source. Pure.

#![warn(clippy::arithmetic_side_effects, clippy::as_conversions)]

pub mod chatdb;
