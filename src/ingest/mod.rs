//! Drives a source into the store.
