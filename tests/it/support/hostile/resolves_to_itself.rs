//! Answers with a promise that becomes itself.

use super::super::peer::wire::{Body, Desc, Msg, Outcome};
use super::{Attacker, answer};

pub fn play(attacker: &mut Attacker) {
    let promise = vec![Desc::SenderPromise(5)];
    attacker.send(answer(attacker.asked, Outcome::Results(Body::default(), promise)));
    attacker.send(Msg::Resolve { promise: 5, to: Ok(Desc::SenderHosted(5)) });
}
