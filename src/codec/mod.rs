//! Byte formats without meaning. Pure: bytes in, values or an error with the offset out; nothing here panics, recurses
//! or allocates without a bound.
