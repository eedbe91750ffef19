//! Releases more references than it was sent.

use super::super::peer::wire::Msg;
use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    attacker.look_around();
    attacker.send(Msg::Release { id: 0, count: u32::MAX });
}
