//! An engine with two honest peers and a host between them, on which others may misbehave. The host's object
//! answers every call with the main objects of all peers.

use std::collections::HashMap;

use jackfield::rpc::{Budget, CapId, ConnId, Engine, Event, Limits, ObjectId};
use jackfield::wire::build::Content;
use jackfield::wire::exception::Exception;

use super::peer::wire::{Body, Msg, Shape, Thrown, decode, encode};
use super::peer::{Cap, Heard, Outgoing, Peer};

pub const CALLER: usize = 0;
pub const CALLEE: usize = 1;

/// What a call came to: the words of its results.
pub type Answered = Result<Vec<u64>, Thrown>;

pub struct Honest {
    pub peer: Peer,
    pub conn: ConnId,
    pub held: Vec<Cap>,
    pub answered: HashMap<u64, Answered>,
}

pub struct Stage {
    pub engine: Engine,
    pub honest: Vec<Honest>,
    mains: Vec<(ConnId, CapId)>,
    /// What the engine said to those that are not honest.
    pub said: HashMap<ConnId, Vec<Msg>>,
    /// Connections that ended, and whether their peers were to blame.
    pub closed: HashMap<ConnId, bool>,
    calls: u64,
}

impl Stage {
    pub fn new(limits: Limits) -> Self {
        let mut stage = Stage {
            engine: Engine::new(limits, Budget::new(1 << 28)),
            honest: Vec::new(),
            mains: Vec::new(),
            said: HashMap::new(),
            closed: HashMap::new(),
            calls: 0,
        };
        for name in 0..2 {
            let conn = stage.connect(true);
            let mut peer = Peer::new(name);
            peer.bootstrap(u64::MAX);
            stage.honest.push(Honest { peer, conn, held: Vec::new(), answered: HashMap::new() });
        }
        stage.flush();
        stage
    }

    /// A new connection; the host may hand its main object out.
    pub fn connect(&mut self, public: bool) -> ConnId {
        let hub = self.engine.object(ObjectId(0));
        let conn = self.engine.connect(Some(hub));
        if public {
            let question = self.engine.bootstrap(conn);
            let main = self.engine.pipeline(question, &[]);
            self.mains.push((conn, main));
        }
        conn
    }

    pub fn send(&mut self, conn: ConnId, msg: &Msg) {
        self.send_bytes(conn, &encode(msg, Shape::OneSegment));
    }

    /// What a driver does with bytes from a connection.
    pub fn send_bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            match self.engine.frame_length(rest) {
                Err(error) => {
                    self.engine.reject(conn, &error.to_string());
                    break;
                }
                Ok(Some(len)) if len <= rest.len() => {
                    self.engine.receive(conn, &mut rest[..len].to_vec());
                    rest = &rest[len..];
                }
                Ok(_) => break,
            }
        }
        self.flush();
    }

    /// Delivers everything to and from the honest, until nothing moves.
    pub fn flush(&mut self) {
        loop {
            self.host_events();
            let mut written = Vec::new();
            self.engine.take_written(&mut written);
            for conn in &written {
                let bytes = self.engine.output(*conn).map(std::mem::take).unwrap_or_default();
                self.hand_out(*conn, &bytes);
            }
            let mut moved = !written.is_empty();
            for index in 0..self.honest.len() {
                self.hear(index);
                let conn = self.honest[index].conn;
                while let Some(mut frame) = self.honest[index].peer.out.pop_front() {
                    self.engine.receive(conn, &mut frame);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn hand_out(&mut self, conn: ConnId, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(len) = jackfield::wire::frame::length(rest, usize::MAX).unwrap() {
            match self.honest.iter_mut().find(|honest| honest.conn == conn) {
                Some(honest) => honest.peer.receive(&rest[..len]),
                None => self.said.entry(conn).or_default().push(decode(&rest[..len])),
            }
            rest = &rest[len..];
        }
    }

    fn hear(&mut self, index: usize) {
        let honest = &mut self.honest[index];
        let heard: Vec<Heard> = honest.peer.heard.drain(..).collect();
        for heard in heard {
            match heard {
                Heard::Delivered { caps, .. } => honest.held.extend(caps.into_iter().flatten()),
                Heard::Answered { uid, result } => {
                    honest.answered.insert(
                        uid,
                        result.map(|(body, caps)| {
                            honest.held.extend(caps.into_iter().flatten());
                            body.words
                        }),
                    );
                }
                Heard::Canceled { .. } => {}
            }
        }
    }

    fn host_events(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::Call { call, .. } => {
                    let mains = self.mains.iter().map(|(_, main)| Some(self.engine.retain(main)));
                    let caps: Vec<_> = std::iter::once(None).chain(mains).collect();
                    self.engine.respond(call, &Content::capabilities(caps.len() as u16), caps);
                }
                Event::Return { result: Ok(incoming), .. } => {
                    incoming.caps.into_iter().flatten().for_each(|cap| self.engine.release(cap));
                }
                Event::Closed { conn, reason, hostile, .. } => {
                    let honest = self.honest.iter().position(|honest| honest.conn == conn);
                    assert_eq!(honest, None, "an honest peer was ended: {}", reason.reason);
                    self.closed.insert(conn, hostile);
                    let main = self.mains.iter().position(|(at, _)| *at == conn);
                    if let Some(main) = main {
                        self.engine.release(self.mains.swap_remove(main).1);
                    }
                }
                Event::Canceled { .. } | Event::Return { .. } | Event::ObjectDropped { .. } => {}
            }
        }
    }

    /// An honest peer calls what it holds. Returns the number of the call.
    pub fn call(&mut self, from: usize, target: usize, caps: Vec<Option<Cap>>) -> u64 {
        self.calls += 1;
        let uid = self.calls;
        let body = Body { uid, words: vec![uid; 3], is_cap: false };
        let honest = &mut self.honest[from];
        let cap = honest.held[target].clone();
        honest.peer.call(&cap, Outgoing { body, caps, only_pipeline: false });
        self.flush();
        uid
    }

    /// An honest peer answers all that waits for it.
    pub fn answer_all(&mut self, who: usize) {
        let peer = &mut self.honest[who].peer;
        let waiting: Vec<(u64, u64)> = peer.invocations.iter().map(|(id, call)| (*id, call.uid)).collect();
        for (invocation, uid) in waiting {
            let body = Body { uid: uid.wrapping_add(1), words: vec![uid, 7], is_cap: false };
            self.honest[who].peer.complete(invocation, Ok((body, Vec::new())));
        }
        self.flush();
    }

    /// The honest caller calls the honest callee, through a capability that it asks the host for, with an object
    /// that the callee calls back.
    pub fn honest_round(&mut self) {
        let before = self.honest[CALLER].held.len();
        let asked = self.call(CALLER, 0, Vec::new());
        assert!(matches!(self.honest[CALLER].answered.get(&asked), Some(Ok(_))), "the host answers");
        let object = self.honest[CALLER].peer.object(9);
        // The second of the host's results is the callee's main object.
        let uid = self.call(CALLER, before + CALLEE, vec![Some(object)]);
        let back = self.honest[CALLEE].held.len() - 1;
        let called_back = self.call(CALLEE, back, Vec::new());
        self.answer_all(CALLER);
        self.answer_all(CALLEE);
        assert_eq!(self.honest[CALLEE].answered.get(&called_back), Some(&Ok(vec![called_back, 7])));
        assert_eq!(self.honest[CALLER].answered.get(&uid), Some(&Ok(vec![uid, 7])));
        for (who, held) in [(CALLER, before), (CALLEE, back)] {
            self.honest[who].held.truncate(held);
            let open = self.honest[who].peer.open();
            open.into_iter().for_each(|uid| self.honest[who].peer.let_go(uid));
        }
        self.flush();
    }

    /// Ends everybody but the honest, and checks that they and the engine are as they were.
    pub fn end(mut self, others: &[ConnId]) {
        for conn in others {
            self.engine.close(*conn, Exception::disconnected("over"));
        }
        self.flush();
        self.honest_round();
        assert_eq!(self.engine.totals().1, 0, "held calls");
    }
}
