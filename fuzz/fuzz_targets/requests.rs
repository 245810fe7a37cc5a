#![no_main]
#[path = "../../tests/support/requests.rs"]
mod requests;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    requests::answer_any(bytes);
});
