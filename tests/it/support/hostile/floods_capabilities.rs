//! Sends more capabilities than it may have exported.

use super::super::peer::wire::{Desc, Msg, Target};
use super::{Attacker, call};

pub fn play(attacker: &mut Attacker) {
    attacker.look_around();
    let caps = (0..1000).map(|id| Desc::SenderHosted(1000 + id)).collect();
    attacker.send(Msg::Call(super::Call { caps, ..call(3, Target::Answer(1, vec![])) }));
}
