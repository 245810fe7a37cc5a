//! Records to changes, per source. Pure.

pub mod inspect;
