#![no_main]
#[path = "../../tests/support/cloudkit.rs"]
mod support;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { support::metadata(bytes); });
