//! Several simulated peers on one engine, with queues between them that are emptied in any order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use jackfield::rpc::trace::{Trace, TraceRecord};
use jackfield::rpc::{Budget, CallId, CapId, ConnId, Engine, Limits, ObjectId, PromiseId, QuestionId};
use jackfield::wire::exception::Exception;

use super::model::{Given, HOST, Logical, Meaning, Model};
use crate::support::peer::{Cap, Heard, Peer};

/// A capability in the hands of a peer's code.
pub(super) struct Held {
    pub(super) cap: Cap,
    pub(super) logical: Logical,
    pub(super) lineage: u64,
    pub(super) calls: u64,
}

pub(super) struct Side {
    pub(super) peer: Peer,
    pub(super) conn: ConnId,
    pub(super) alive: bool,
    pub(super) held: Vec<Held>,
    pub(super) promises: Vec<(Cap, Logical)>,
    pub(super) objects: u64,
    pub(super) to_engine: VecDeque<Vec<u8>>,
    pub(super) to_peer: VecDeque<Vec<u8>>,
}

/// A call on the host's object, and what it brought.
pub(super) struct AtHost {
    pub(super) call: CallId,
    pub(super) uid: u64,
    pub(super) caps: Vec<Logical>,
}

pub struct World {
    pub(super) engine: Engine,
    pub(super) sides: Vec<Side>,
    pub(super) model: Model,
    pub(super) hub: Logical,
    /// The main objects of the peers, as the host holds them.
    pub(super) mains: Vec<Option<(CapId, QuestionId, Logical)>>,
    pub(super) at_host: Vec<AtHost>,
    pub(super) host_promises: Vec<(PromiseId, Logical)>,
    pub(super) host_questions: Vec<(QuestionId, u64)>,
}

/// Frames of a run, kept for the account of a failure.
pub type Frames = Arc<Mutex<Vec<(usize, bool, u64, Vec<u8>)>>>;

struct Recorder {
    frames: Frames,
    conns: Vec<ConnId>,
}

impl Trace for Recorder {
    fn frame(&mut self, record: &TraceRecord) {
        let index = self.conns.iter().position(|conn| *conn == record.conn).unwrap_or_else(|| {
            self.conns.push(record.conn);
            self.conns.len() - 1
        });
        let frame = record.frame.to_vec();
        self.frames.lock().unwrap().push((index, record.sent, record.received, frame));
    }
}

pub(super) fn pick<T>(list: &[T], choice: u16) -> Option<usize> {
    (!list.is_empty()).then(|| usize::from(choice) % list.len())
}

impl World {
    pub fn new(peers: u64, frames: Frames) -> Self {
        let mut engine = Engine::new(Limits::default(), Budget::new(1 << 30));
        engine.set_trace(Box::new(Recorder { frames, conns: Vec::new() }));
        let mut model = Model::default();
        let hub = model.mean(Meaning::Object(HOST, 0));
        let cap = engine.object(ObjectId(0));
        let mut world = World {
            sides: Vec::new(),
            mains: Vec::new(),
            at_host: Vec::new(),
            host_promises: Vec::new(),
            host_questions: Vec::new(),
            engine,
            model,
            hub,
        };
        for name in 0..peers {
            let main = world.engine.retain(&cap);
            let conn = world.engine.connect(Some(main));
            let question = world.engine.bootstrap(conn);
            let main = world.engine.pipeline(question, &[]);
            let logical = world.model.mean(Meaning::Object(name, 0));
            world.mains.push(Some((main, question, logical)));
            let mut side = Side {
                peer: Peer::new(name),
                conn,
                alive: true,
                held: Vec::new(),
                promises: Vec::new(),
                objects: 1,
                to_engine: VecDeque::new(),
                to_peer: VecDeque::new(),
            };
            // The number of a call that the model does not count.
            side.peer.bootstrap(u64::MAX);
            world.sides.push(side);
        }
        world.engine.release(cap);
        world.pump();
        world.flush();
        world
    }

    /// One step of a run: what it does, and three choices.
    pub fn step(&mut self, [what, a, b, c]: [u16; 4]) {
        let side = pick(&self.sides, a).unwrap();
        match what % 32 {
            0..=13 => self.deliver(side, b),
            14..=18 => self.call(side, b, c),
            19..=20 => self.pipeline(side, b, c),
            21..=23 => self.complete(side, b, c),
            24 => self.new_promise(side),
            25 => self.resolve(side, b, c),
            26 => self.drop_cap(side, b),
            27 => self.let_go(side, b),
            28..=29 => self.host_acts(b, c),
            30 => self.host_resolves(b, c),
            _ if c % 64 == 0 => self.cut(side, b),
            _ => self.host_calls(b),
        }
        self.pump();
    }

    /// Moves what the peers and the engine have written to the queues, and hears what happened.
    pub(super) fn pump(&mut self) {
        self.host_events();
        for index in 0..self.sides.len() {
            self.hear(index);
            let side = &mut self.sides[index];
            side.to_engine.extend(side.peer.out.drain(..));
            let Some(out) = self.engine.output(side.conn).filter(|_| side.alive) else { continue };
            let out = std::mem::take(out);
            let mut rest = &out[..];
            while let Some(len) = jackfield::wire::frame::length(rest, usize::MAX).unwrap() {
                side.to_peer.push_back(rest[..len].to_vec());
                rest = &rest[len..];
            }
            assert!(rest.is_empty(), "the engine writes whole frames");
        }
    }

    fn deliver(&mut self, index: usize, direction: u16) {
        let side = &mut self.sides[index];
        let to_peer = side.to_engine.is_empty() || direction.is_multiple_of(2) && !side.to_peer.is_empty();
        if to_peer {
            if let Some(frame) = side.to_peer.pop_front() {
                side.peer.receive(&frame);
            }
        } else if let Some(mut frame) = side.to_engine.pop_front() {
            self.engine.receive(side.conn, &mut frame);
        }
        self.pump();
    }

    /// Delivers everything, until nothing moves.
    pub(super) fn flush(&mut self) {
        loop {
            let busy = |side: &Side| !side.to_engine.is_empty() || !side.to_peer.is_empty();
            let Some(index) = self.sides.iter().position(busy) else { return };
            self.deliver(index, self.model.lineages as u16);
        }
    }

    fn hear(&mut self, index: usize) {
        let heard: Vec<Heard> = self.sides[index].peer.heard.drain(..).collect();
        let name = index as u64;
        for heard in heard {
            match heard {
                Heard::Delivered { object, body, caps, invocation } => {
                    self.model.delivered(body.uid, (name, object), &body.words);
                    self.hold_all(index, caps, &body.words[3..]);
                    if invocation.is_none() {
                        self.model.give(body.uid, Given::Results(Vec::new()));
                    }
                }
                Heard::Canceled { uid } => self.model.give(uid, Given::Canceled),
                Heard::Answered { uid: u64::MAX, result } => {
                    let cap = result.unwrap().1.remove(0).unwrap();
                    self.hold(index, cap, self.hub);
                    self.sides[index].peer.let_go(u64::MAX);
                }
                Heard::Answered { uid, result: Ok((body, caps)) } => {
                    let logicals = if body.uid == 0 && !caps.is_empty() {
                        match &self.model.calls[uid as usize].given {
                            Some(Given::Results(given)) => given.clone(),
                            other => panic!("call {uid}: {other:?}"),
                        }
                    } else {
                        body.words.clone()
                    };
                    assert!(body.uid == uid + 1 || body.uid == 0, "call {uid} got the answer to another");
                    self.model.answered(uid, Ok(&logicals));
                    self.hold_all(index, caps, &logicals);
                }
                Heard::Answered { uid, result: Err(thrown) } => {
                    self.model.answered(uid, Err((&thrown.reason, &thrown.details)));
                }
            }
        }
    }

    pub(super) fn hold_all(&mut self, index: usize, caps: Vec<Option<Cap>>, logicals: &[Logical]) {
        assert_eq!(caps.len(), logicals.len(), "as many capabilities as were sent");
        for (cap, logical) in caps.into_iter().zip(logicals) {
            self.hold(index, cap.expect("none was null"), *logical);
        }
    }

    pub(super) fn hold(&mut self, index: usize, cap: Cap, logical: Logical) {
        let lineage = self.model.lineage();
        self.sides[index].held.push(Held { cap, logical, lineage, calls: 0 });
    }

    /// The connection is lost, and with it what was on its way.
    fn cut(&mut self, index: usize, rest: u16) {
        for _ in 0..rest % 4 {
            self.deliver(index, rest);
        }
        let side = &mut self.sides[index];
        if !side.alive {
            return;
        }
        self.model.cut = true;
        side.alive = false;
        self.engine.close(side.conn, Exception::disconnected("cut"));
        self.engine.forget(side.conn);
        side.held.clear();
        side.promises.clear();
        side.to_engine.clear();
        side.to_peer.clear();
        side.peer = Peer::new(index as u64);
    }

    /// Lets everything come to its end, and checks that nothing is left.
    pub fn finish(mut self) {
        loop {
            self.flush();
            let busy = self.sides.iter().position(|side| !side.peer.invocations.is_empty());
            let owing = self.sides.iter().position(|side| !side.promises.is_empty());
            match (busy, owing) {
                (Some(index), _) => self.complete(index, 0, 0),
                (_, Some(index)) => self.resolve(index, 0, 0),
                _ if !self.at_host.is_empty() => self.host_acts(0, 2 + 4),
                _ if !self.host_promises.is_empty() => self.host_resolves(0, 8),
                _ => break,
            }
            self.pump();
        }
        let alive: Vec<bool> = self.sides.iter().map(|side| side.alive).collect();
        self.model.finish(&|peer| peer == HOST || alive[peer as usize]);
        self.release_all();
        for (index, side) in self.sides.iter().enumerate().filter(|(_, side)| side.alive) {
            assert_eq!(side.peer.in_use(), <[Vec<u32>; 5]>::default(), "tables of peer {index}");
            let sizes = self.engine.sizes(side.conn);
            assert_eq!(sizes, Default::default(), "the engine's tables of connection {index}");
            assert_eq!(self.engine.parked(side.conn), (0, 0), "parked by peer {index}");
        }
        for side in self.sides.iter().filter(|side| side.alive) {
            self.engine.close(side.conn, Exception::disconnected("over"));
        }
        assert_eq!(self.engine.totals(), (0, 0), "capabilities and held calls");
    }

    fn release_all(&mut self) {
        for (cap, question, _) in self.mains.drain(..).flatten() {
            self.engine.release(cap);
            self.engine.finish(question);
        }
        for index in 0..self.sides.len() {
            self.sides[index].held.clear();
            for uid in self.sides[index].peer.open() {
                self.sides[index].peer.let_go(uid);
            }
            self.sides[index].peer.settle();
            self.pump();
        }
        self.flush();
    }
}
