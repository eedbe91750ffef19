//! Says that results went elsewhere which were wanted here.

use super::super::peer::wire::Outcome;
use super::{Attacker, answer};

pub fn play(attacker: &mut Attacker) {
    attacker.send(answer(attacker.asked, Outcome::Elsewhere));
}
