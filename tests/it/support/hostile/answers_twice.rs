//! Answers one call two times.

use super::super::peer::wire::{Body, Outcome};
use super::{Attacker, answer};

pub fn play(attacker: &mut Attacker) {
    for _ in 0..2 {
        let results = Outcome::Results(Body::default(), Vec::new());
        attacker.send(answer(attacker.asked, results));
    }
}
