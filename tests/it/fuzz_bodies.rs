//! The bodies of the fuzz targets, on a fixed number of inputs, so that they are run where cargo-fuzz is not.

#[path = "../../fuzz/bodies/engine.rs"]
mod engine;
#[path = "../../fuzz/bodies/frames.rs"]
mod frames;
#[path = "../../fuzz/bodies/script.rs"]
pub mod script;
#[path = "../../fuzz/bodies/v8.rs"]
pub mod v8;
#[path = "../../fuzz/bodies/websocket.rs"]
mod websocket;

use super::support;

/// Bytes that are random, and the same in every run.
fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn frames_of_any_bytes() {
    for seed in 0..20_000 {
        frames::run(&random(seed, 8 + seed as usize % 400));
    }
}

#[test]
fn frames_with_damage() {
    for seed in 0..20_000 {
        frames::run(&frames::damaged_message(&random(seed, 64)));
    }
}

#[test]
fn an_engine_among_hostile_peers() {
    for seed in 0..1500 {
        engine::run(&random(seed, 2000));
    }
}

#[test]
fn values_with_damage() {
    for seed in 0..20_000 {
        let mut choices = random(seed, 3 + seed as usize % 60);
        // The second of the choices is damage.
        choices[0] = 1;
        v8::run(&choices);
    }
}

#[test]
fn websocket_frames_of_any_bytes() {
    for seed in 0..20_000 {
        let noise = random(seed, 1 + seed as usize % 200);
        websocket::run(&noise);
        websocket::run(&websocket::some_frames(&noise));
    }
}
