//! Calls an export id that it has never been sent.

use super::super::peer::wire::{Msg, Target};
use super::{Attacker, call};

pub fn play(attacker: &mut Attacker) {
    attacker.send(Msg::Call(call(1, Target::Import(77))));
}
