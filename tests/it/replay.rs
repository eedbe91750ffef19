//! Recorded conversations of real workerds, said again through the engine in many orders: everything that was heard then
//! is heard again, under other ids, and nothing is left in the tables.

mod message;
mod peer;
mod script;
mod tree;

use std::collections::VecDeque;

use jackfield::rpc::{Budget, ConnId, Engine, Event, Limits};
use jackfield::wire::exception::Exception;

use crate::support::transcript::{Direction, Transcript, frame_length};
use peer::Peer;
use script::Script;

/// Orders tried of each recording.
const ORDERS: u64 = 150;

#[test]
fn recordings_come_out_equal_in_every_order() {
    for transcript in Transcript::all() {
        let script = Script::of(&transcript);
        for seed in 1..=ORDERS {
            let named = format!("{} in order {seed}", script.name);
            let run = std::panic::catch_unwind(|| Stage::new(&script, seed).play());
            assert!(run.is_ok(), "{named} comes out otherwise; see above");
        }
    }
}

/// An engine between the two ends of a recording.
struct Stage<'a> {
    engine: Engine,
    sides: [Side<'a>; 2],
    random: u64,
    /// The recorded connection ends while questions are open.
    cut: bool,
    /// Connections may end now.
    over: bool,
}

struct Side<'a> {
    conn: ConnId,
    peer: Peer<'a>,
    /// Frames of the engine that have not arrived.
    coming: VecDeque<Vec<u8>>,
}

impl<'a> Stage<'a> {
    fn new(script: &'a Script, seed: u64) -> Self {
        let mut engine = Engine::new(Limits::default(), Budget::new(Budget::DEFAULT_BYTES));
        let target = engine.connect(None);
        let question = engine.bootstrap(target);
        let main = engine.pipeline(question, &[]);
        let caller = engine.connect(Some(main));
        engine.finish(question);
        let side = |conn, from| Side { conn, peer: Peer::new(script, from), coming: VecDeque::new() };
        let sides = [side(caller, Direction::FromCaller), side(target, Direction::FromTarget)];
        // A debug-port connection ends with the event, whatever is open on it.
        let cut = script.name.starts_with("debug-");
        Self { engine, sides, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), cut, over: false }
    }

    fn play(mut self) {
        while let Some((side, says)) = self.choose() {
            let Side { conn, peer, coming } = &mut self.sides[side];
            if says {
                for mut frame in peer.say() {
                    self.engine.receive(*conn, &mut frame);
                }
            } else if let Some(frame) = coming.pop_front() {
                peer.hear(&frame);
            }
            self.collect();
        }
        for side in &self.sides {
            let next = side.peer.next_step();
            assert!(side.peer.is_done() && side.peer.heard_all(), "stuck before step {next:?}");
        }
        self.end();
    }

    /// One of the things that can happen next.
    fn choose(&mut self) -> Option<(usize, bool)> {
        let mut possible = Vec::new();
        for (index, side) in self.sides.iter().enumerate() {
            if side.peer.is_ready() {
                possible.push((index, true));
            }
            if !side.coming.is_empty() {
                possible.push((index, false));
            }
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let turn = self.random as usize % possible.len().max(1);
        possible.get(turn).copied()
    }

    /// Takes what the engine has to say.
    fn collect(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::Return { result: Ok(incoming), .. } => {
                    incoming.caps.into_iter().flatten().for_each(|cap| self.engine.release(cap));
                }
                Event::Closed { reason, .. } => assert!(self.over, "a connection ended: {reason:?}"),
                other => panic!("nothing concerns the host here: {other:?}"),
            }
        }
        for side in &mut self.sides {
            let Some(output) = self.engine.output(side.conn) else { continue };
            while let Some(length) = frame_length(output).filter(|length| *length <= output.len()) {
                side.coming.push_back(output.drain(..length).collect());
            }
        }
    }

    fn end(mut self) {
        if self.cut {
            self.over = true;
            for side in &self.sides {
                self.engine.close(side.conn, Exception::disconnected("The event is over."));
            }
            self.collect();
        } else {
            self.settle();
        }
        for side in &self.sides {
            let held: Vec<_> = side.peer.exports.iter().filter(|(_, count)| **count != 0).collect();
            assert!(self.cut || held.is_empty(), "still held: {held:?}");
            let sizes = self.engine.sizes(side.conn);
            assert_eq!(sizes, Default::default(), "tables of {:?}", side.conn);
        }
        assert_eq!(self.engine.totals(), (0, 0), "capabilities and held calls");
    }

    /// Both ends let go of all they have; then the caller goes, and with it the last reference to the main object.
    fn settle(&mut self) {
        loop {
            for index in 0..2 {
                for mut frame in self.sides[index].peer.clean_up() {
                    self.engine.receive(self.sides[index].conn, &mut frame);
                }
            }
            self.collect();
            let coming: Vec<_> = self.sides.iter_mut().map(|side| std::mem::take(&mut side.coming)).collect();
            if coming.iter().all(VecDeque::is_empty) {
                if self.over {
                    return;
                }
                self.over = true;
                self.engine.close(self.sides[0].conn, Exception::disconnected("The caller is gone."));
                self.collect();
                continue;
            }
            for (side, frames) in self.sides.iter_mut().zip(coming) {
                frames.iter().for_each(|frame| side.peer.hear(frame));
            }
        }
    }
}
