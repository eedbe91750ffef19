//! Sends a Disembargo back that it was never sent.

use super::super::peer::wire::{Msg, Target};
use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    attacker.look_around();
    attacker.send(Msg::Disembargo { target: Target::Answer(1, vec![]), receiver: true, id: 0 });
}
