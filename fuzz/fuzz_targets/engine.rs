//! Any sequence of operations by hostile peers and the host, beside two honest peers.
#![no_main]

#[path = "../bodies/engine.rs"]
mod body;
#[path = "../bodies/script.rs"]
mod script;
/// What the integration tests have, too.
mod support {
    #[path = "../../../tests/it/support/peer/mod.rs"]
    pub mod peer;
    #[path = "../../../tests/it/support/stage.rs"]
    pub mod stage;
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
