//! Speaks of level 3: Provide, Accept, Join and a Disembargo of theirs.

use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    for tag in [10, 11, 12, 14, 7, 9, 99] {
        attacker.send_words(&[4 << 32, 1 << 32 | 1 << 48, tag, 1 << 32, 0]);
    }
}
