//! Addresses in their normal form (ID-1 to ID-4).
