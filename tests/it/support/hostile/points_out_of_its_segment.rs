//! Sends a Call whose target lies behind the end of the frame.

use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    let to = |offset: u64, data: u64, pointers: u64| offset << 2 | data << 32 | pointers << 48;
    attacker.send_words(&[8 << 32, to(0, 1, 1), 2, to(0, 3, 2), 1, 0, 0, to(9000, 1, 1), 0]);
}
