//! Records to changes, per source. Pure.
