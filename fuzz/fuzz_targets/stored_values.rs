#![no_main]
#[path = "../../tests/support/stored.rs"]
mod stored;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(stored::decode_any(bytes)));
