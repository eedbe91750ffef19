//! Any bytes as a frame: taken apart, patched, and read back.
#![no_main]

#[path = "../bodies/frames.rs"]
mod body;
#[path = "../bodies/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
