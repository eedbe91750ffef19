//! The engine under random sequences of operations by several peers, in random interleavings, against a naive
//! model.

mod acts;
mod host;
mod model;
mod world;

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

use crate::support::peer::wire::{self, Msg, Outcome};
use jackfield::rpc::trace;
use world::{Frames, World};

fn run(peers: u64, steps: &[[u16; 4]], frames: &Frames) {
    let mut world = World::new(peers, frames.clone());
    for step in steps {
        world.step(*step);
    }
    world.finish();
}

/// The frames of a run, one JSON line each: the number that a frame has in common with those that it caused shows
/// how ids were mapped.
fn account(frames: &Frames) -> String {
    let mut text = String::new();
    for (peer, sent, received, frame) in frames.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter()
    {
        let line = serde_json::json!({
            "frame": received,
            "peer": peer,
            "dir": if *sent { "out" } else { "in" },
            "about": about(frame),
            "message": trace::decode(frame),
        });
        writeln!(text, "{line}").unwrap();
    }
    text
}

/// The call of the model that a frame is about; for a Call, also which capability of the caller's it is on, and
/// the how manieth there.
fn about(frame: &[u8]) -> Option<String> {
    match catch_unwind(|| wire::decode(frame)).ok()? {
        Msg::Call(call) => match call.body.words[..] {
            [lineage, seq, ..] => Some(format!("call {}, {lineage}.{seq}", call.body.uid)),
            _ => None,
        },
        Msg::Return { outcome: Outcome::Results(body, _), .. } => {
            body.uid.checked_sub(1).map(|uid| format!("call {uid}"))
        }
        _ => None,
    }
}

fn check(peers: u64, steps: &[[u16; 4]]) -> Result<(), TestCaseError> {
    let frames = Frames::default();
    catch_unwind(AssertUnwindSafe(|| run(peers, steps, &frames))).map_err(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        TestCaseError::fail(format!("{}\n{}", what.unwrap_or_default(), account(&frames)))
    })
}

/// The same cases in every run; `JACKFIELD_MODEL_TIMES=100` looks a hundred times longer.
fn explore(cases: u32, steps: usize, seed: u8) {
    let times = std::env::var("JACKFIELD_MODEL_TIMES").map_or(1, |times| times.parse().unwrap());
    let cases = cases * times;
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 4000, ..Default::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let steps = vec(any::<[u16; 4]>(), 0..steps);
    match runner.run(&(3_u64..6, steps), |(peers, steps)| check(peers, &steps)) {
        Ok(()) => {}
        Err(TestError::Fail(why, (peers, steps))) => panic!("{why}\n{peers} peers, steps {steps:?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn short_runs_come_out_as_the_model_says() {
    explore(400, 60, 1);
}

#[test]
fn long_runs_come_out_as_the_model_says() {
    explore(60, 600, 2);
}
