//! Says that a call was canceled which nobody has finished.

use super::super::peer::wire::Outcome;
use super::{Attacker, answer};

pub fn play(attacker: &mut Attacker) {
    attacker.send(answer(attacker.asked, Outcome::Canceled));
}
