#![no_main]
use footbridge::decode::inspect::{BlobKind, inspect};
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(inspect(BlobKind::Payload, bytes)));
