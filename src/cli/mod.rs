//! Arguments, progress, and the one place that prints errors.
