//! Any sequence of operations by hostile peers and the host, beside two honest peers.
#![no_main]
// The tests use more of what is shared.
#![allow(dead_code)]

#[path = "../bodies/engine.rs"]
mod body;
#[path = "../bodies/script.rs"]
mod script;
#[path = "../../tests/it/support/peer/mod.rs"]
mod peer;
#[path = "../../tests/it/support/stage.rs"]
mod stage;

/// As the integration tests have it.
mod support {
    pub(crate) use super::{peer, stage};
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
