//! Answers with a promise that becomess one thing and then another.

use super::super::peer::wire::{Body, Desc, Msg, Outcome, Shape, encode};
use super::{Attacker, answer};

pub fn play(attacker: &mut Attacker) {
    let promise = vec![Desc::SenderPromise(5)];
    attacker.send(answer(attacker.asked, Outcome::Results(Body::default(), promise)));
    // Both at once: once the caller has heard of the first, it lets go of the promise, and nobody looks.
    let becomes = [6, 7].map(|id| Msg::Resolve { promise: 5, to: Ok(Desc::SenderHosted(id)) });
    let frames: Vec<u8> = becomes.iter().flat_map(|msg| encode(msg, Shape::OneSegment)).collect();
    attacker.stage.send_bytes(attacker.conn, &frames);
}
