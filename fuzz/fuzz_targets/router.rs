#![no_main]
#[path = "../../tests/support/routes.rs"]
mod routes;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    routes::route_any(bytes);
});
