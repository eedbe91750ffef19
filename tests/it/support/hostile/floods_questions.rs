//! Asks and asks, and never finishes a question.

use super::super::peer::wire::Msg;
use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    for question in 0..1000 {
        attacker.send(Msg::Bootstrap(question));
    }
}
