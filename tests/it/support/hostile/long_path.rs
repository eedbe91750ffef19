//! Names a capability by a path that is longer than any value is deep.

use super::super::peer::wire::{Msg, Target};
use super::{Attacker, call};

pub fn play(attacker: &mut Attacker) {
    attacker.look_around();
    attacker.send(Msg::Call(call(3, Target::Answer(1, vec![0; 65]))));
}
