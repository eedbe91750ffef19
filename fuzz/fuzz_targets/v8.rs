//! Any bytes as a value, and any value as bytes.
#![no_main]

#[path = "../bodies/v8.rs"]
mod body;
#[path = "../bodies/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
