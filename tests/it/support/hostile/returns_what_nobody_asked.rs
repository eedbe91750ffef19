//! Answers a question that was never asked.

use super::super::peer::wire::{Body, Outcome};
use super::{Attacker, answer};

pub fn play(attacker: &mut Attacker) {
    attacker.send(answer(4711, Outcome::Results(Body::default(), Vec::new())));
}
