//! Claims more segments than anybody accepts.

use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    attacker.send_words(&[0xffff_fffe, 0, 0]);
}
