//! Where records come from. A source decides nothing.
