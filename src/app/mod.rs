//! What a person can ask of the archive, as plain values for the command line to print.

pub mod check;
pub mod config;
pub mod decode;
