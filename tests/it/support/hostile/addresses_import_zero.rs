//! Tries every shape of a frame to reach the main object of an upstream that was never handed out.

use super::super::peer::wire::{Desc, Msg, Target};
use super::{Attacker, answer, call, hosted};

pub fn play(attacker: &mut Attacker) {
    let upstream = attacker.stage.connect(false);
    attacker.stage.engine.bootstrap(upstream);
    attacker.stage.flush();
    attacker.stage.send(upstream, &answer(0, hosted(0)));
    let before = attacker.stage.said[&upstream].len();
    attacker.look_around();
    let targets = [
        Target::Import(0),
        Target::Answer(0, vec![]),
        Target::Answer(1, vec![0]),
        Target::Answer(2, vec![0]),
    ];
    let mut question = 10;
    for target in targets {
        for desc in [Desc::ReceiverHosted(0), Desc::ReceiverAnswer(0, vec![]), Desc::SenderHosted(0)] {
            for (yourself, only_pipeline) in [(false, false), (true, false), (false, true)] {
                question += 1;
                let caps = vec![desc.clone()];
                let call = call(question, target.clone());
                attacker.send(Msg::Call(super::Call { caps, yourself, only_pipeline, ..call }));
            }
        }
    }
    let said = &attacker.stage.said[&upstream];
    let called = said[before..].iter().any(|msg| matches!(msg, Msg::Call(_)));
    assert!(!called, "a call reached an upstream that nobody named: {said:?}");
}
