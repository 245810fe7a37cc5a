//! The redb file.
