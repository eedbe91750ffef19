//! Takes the answer of a question that it has not asked.

use super::super::peer::wire::Outcome;
use super::{Attacker, answer};

pub fn play(attacker: &mut Attacker) {
    attacker.send(answer(attacker.asked, Outcome::TakeFrom(12)));
}
