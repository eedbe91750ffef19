//! Asks two questions under one id.

use super::super::peer::wire::Msg;
use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    attacker.send(Msg::Bootstrap(3));
    attacker.send(Msg::Bootstrap(3));
}
