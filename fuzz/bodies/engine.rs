//! Hostile peers and the host do anything in any order, beside two honest peers, who go on undisturbed.

use jackfield::rpc::{ConnId, Limits};

use super::script::Script;
use super::support::peer::wire::{Body, Call, Desc, Msg, Outcome, Shape, Target, Thrown, encode};
use super::support::stage::{CALLEE, CALLER, Stage};

pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut stage = Stage::new(Limits { open_questions: 64, ..Limits::default() });
    let mut hostile: Vec<ConnId> = (0..2).map(|_| stage.connect(true)).collect();
    stage.flush();
    while !script.is_over() {
        let at = script.pick(2);
        // A peer that was thrown out comes again.
        if stage.closed.contains_key(&hostile[at]) {
            stage.engine.forget(hostile[at]);
            stage.closed.remove(&hostile[at]);
            hostile[at] = stage.connect(true);
            stage.flush();
        }
        match script.pick(16) {
            0..=9 => {
                let msg = message(&mut script);
                let shape = [Shape::OneSegment, Shape::Far, Shape::DoubleFar][script.pick(3)];
                let bytes = damaged(encode(&msg, shape), &mut script);
                stage.send_bytes(hostile[at], &bytes);
            }
            10..=12 => honest(&mut stage, &mut script),
            13 => stage.answer_all(script.pick(2)),
            14 => {
                let length = script.pick(64);
                stage.send_bytes(hostile[at], script.take(length));
            }
            _ => {
                let reason = jackfield::wire::exception::Exception::disconnected("cut");
                stage.engine.close(hostile[at], reason);
                stage.flush();
            }
        }
    }
    stage.honest_round();
    stage.end(&hostile);
}

/// The honest call what they hold, the hostile among it, and let go.
fn honest(stage: &mut Stage, script: &mut Script) {
    let who = [CALLER, CALLEE][script.pick(2)];
    let held = stage.honest[who].held.len();
    match script.pick(4) {
        0..=1 => {
            let target = script.pick(held);
            let own = stage.honest[who].peer.object(3);
            let passed = stage.honest[who].held[script.pick(held)].clone();
            stage.call(who, target, vec![Some(own), Some(passed)]);
        }
        2 if held > 1 => {
            // The first is the host's object, without which nobody could go on.
            let at = 1 + script.pick(held - 1);
            stage.honest[who].held.swap_remove(at);
            stage.honest[who].peer.settle();
        }
        _ => {
            let open = stage.honest[who].peer.open();
            if !open.is_empty() {
                let uid = open[script.pick(open.len())];
                stage.honest[who].peer.let_go(uid);
            }
        }
    }
    stage.flush();
}

fn damaged(mut bytes: Vec<u8>, script: &mut Script) -> Vec<u8> {
    if script.pick(8) == 0 {
        for _ in 0..=script.pick(4) {
            let words = bytes.len() / 8;
            let at = script.pick(words) * 8 + script.pick(8);
            bytes[at] ^= script.byte();
        }
    }
    bytes
}

fn message(script: &mut Script) -> Msg {
    match script.pick(16) {
        0 => Msg::Bootstrap(script.id()),
        1..=5 => Msg::Call(Call {
            question: script.id(),
            target: target(script),
            body: body(script),
            caps: descriptors(script),
            yourself: script.pick(4) == 0,
            only_pipeline: script.pick(4) == 0,
        }),
        6..=9 => Msg::Return {
            answer: script.id(),
            release_params: script.pick(4) == 0,
            no_finish: script.pick(4) == 0,
            outcome: outcome(script),
        },
        10 => Msg::Finish { question: script.id(), release_results: script.pick(2) == 0 },
        11 => Msg::Resolve {
            promise: script.id(),
            to: if script.pick(4) == 0 { Err(Thrown::new("hostile")) } else { Ok(descriptor(script)) },
        },
        12..=13 => Msg::Release { id: script.id(), count: script.id() },
        14 => Msg::Disembargo { target: target(script), receiver: script.pick(2) == 0, id: script.id() },
        _ if script.pick(8) == 0 => Msg::Abort("hostile".to_owned()),
        _ => Msg::Unimplemented,
    }
}

/// Numbers of calls that no honest peer makes.
fn body(script: &mut Script) -> Body {
    let is_cap = script.pick(3) == 0;
    Body { uid: 1 << 60, words: vec![0; 3], is_cap }
}

fn outcome(script: &mut Script) -> Outcome {
    match script.pick(8) {
        0..=3 => Outcome::Results(body(script), descriptors(script)),
        4 => Outcome::Exception(Thrown::new("hostile")),
        5 => Outcome::Canceled,
        6 => Outcome::Elsewhere,
        _ => Outcome::TakeFrom(script.id()),
    }
}

fn path(script: &mut Script) -> Vec<u16> {
    (0..script.pick(3)).map(|_| script.pick(4) as u16).collect()
}

fn target(script: &mut Script) -> Target {
    match script.pick(2) {
        0 => Target::Import(script.id()),
        _ => Target::Answer(script.id(), path(script)),
    }
}

fn descriptors(script: &mut Script) -> Vec<Desc> {
    (0..script.pick(4)).map(|_| descriptor(script)).collect()
}

fn descriptor(script: &mut Script) -> Desc {
    match script.pick(8) {
        0 => Desc::None,
        1..=2 => Desc::SenderHosted(script.id()),
        3..=4 => Desc::SenderPromise(script.id()),
        5..=6 => Desc::ReceiverHosted(script.id()),
        _ => Desc::ReceiverAnswer(script.id(), path(script)),
    }
}
