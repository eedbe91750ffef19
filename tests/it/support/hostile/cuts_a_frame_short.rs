//! Announces a long frame, sends its beginning, and then nothing any more.

use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    attacker.send_words(&[1 << 16 << 32, 1 << 48, 2]);
}
