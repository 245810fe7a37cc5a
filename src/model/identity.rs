//! Which chat rows are one conversation (D9).
