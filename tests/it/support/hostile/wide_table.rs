//! Sends a capability table with more entries than a frame may have.

use super::Attacker;

pub fn play(attacker: &mut Attacker) {
    const ENTRIES: u64 = 70_000;
    let to = |offset: u64, data: u64, pointers: u64| offset << 2 | data << 32 | pointers << 48;
    let head = [to(0, 1, 1), 3, to(0, 2, 1), 0, 0, to(0, 0, 2), 0, 1 | 7 << 32 | ENTRIES << 35];
    let mut words = vec![(head.len() as u64 + 1 + ENTRIES) << 32];
    words.extend(head);
    words.push(ENTRIES << 2 | 1 << 32);
    words.extend(std::iter::repeat_n(0, ENTRIES as usize));
    words[4] = u64::from(attacker.asked);
    attacker.send_words(&words);
}
