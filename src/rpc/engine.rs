use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use super::limits::{Budget, Limits};
use super::tables::*;
use super::trace::{Trace, TraceRecord};
use crate::wire::exception::{self, Exception, Kind};
use crate::wire::frame::{Frame, FrameError};
use crate::wire::message::{self, Loopback, tag};
use crate::wire::{build, frame};

/// Why a peer's connection has to end. Always that peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Protocol(&'static str),
    #[error("{what}: more than {max}")]
    Limit { what: &'static str, max: usize },
}

/// A message for the host: the whole frame (its root is an RPC `Message` with a Call or a Return) and what the
/// entries of its capability table stand for, each a reference that the host releases.
#[derive(Debug)]
pub struct Incoming {
    /// The frame. Ids in it are the sender's and mean nothing to the host.
    pub frame: Vec<u8>,
    /// Capabilities by their index in the content.
    pub caps: Vec<Option<CapId>>,
}

/// What concerns the host.
#[derive(Debug)]
pub enum Event {
    /// A call on one of the host's objects. It waits until [`Engine::forward`], [`Engine::respond`] or
    /// [`Engine::fail`]; [`Engine::params`] shows what it brings.
    Call {
        /// Names the call in those.
        call: CallId,
        /// The object.
        object: ObjectId,
        /// Type id of the interface.
        interface: u64,
        /// Ordinal of the method.
        method: u16,
    },
    /// The caller does not want the answer any more; the call is gone.
    Canceled {
        /// The call.
        call: CallId,
    },
    /// A question of the host's was answered.
    Return {
        /// The question; still open until [`Engine::finish`].
        question: QuestionId,
        /// The answer.
        result: Result<Incoming, Exception>,
    },
    /// Nobody refers to the object any more.
    ObjectDropped {
        /// The object.
        object: ObjectId,
    },
    /// The connection has ended; its id is free once [`Engine::output`] was drained and
    /// [`Engine::forget`] called.
    Closed {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: Exception,
        /// Whether the peer broke the protocol or a bound, and was told so by an Abort.
        hostile: bool,
        /// How many of the calls that the host forwarded there were not over: they, or calls on what came of them,
        /// had no answer yet.
        unfinished: usize,
    },
}

/// The state machine. See the module's text.
pub struct Engine {
    pub(super) conns: Slab<Conn>,
    pub(super) caps: Slab<Cap>,
    pub(super) held: Slab<Held>,
    pub(super) host_questions: Slab<()>,
    pub(super) events: VecDeque<Event>,
    /// Held messages that can go on; drained before any public method returns.
    pub(super) ready: VecDeque<Waiting>,
    /// References to release; drained likewise, so that a long chain does not recurse.
    pub(super) dropped: Vec<u32>,
    pub(super) limits: Limits,
    pub(super) budget: Arc<Budget>,
    pub(super) serial: u64,
    pub(super) written: Vec<u32>,
    pub(super) tracer: Option<Box<dyn Trace>>,
    pub(super) received: u64,
    /// The connection whose export table the current message filled beyond the bound.
    pub(super) overflow: Option<u32>,
    /// What a call on an answer gets that has no such capability, or is closed.
    pub(super) closed: Arc<Exception>,
    pub(super) null_cap: Arc<Exception>,
}

impl Engine {
    /// An engine without connections.
    pub fn new(limits: Limits, budget: Arc<Budget>) -> Self {
        let mut conns = Slab::new();
        conns.insert(Conn::new(0));
        Engine {
            conns,
            caps: Slab::new(),
            held: Slab::new(),
            host_questions: Slab::new(),
            events: VecDeque::new(),
            ready: VecDeque::new(),
            dropped: Vec::new(),
            limits,
            budget,
            serial: 0,
            written: Vec::new(),
            tracer: None,
            received: 0,
            overflow: None,
            closed: Arc::new(Exception::new(
                Kind::Failed,
                "The call is for the answer to a request that returned no capabilities or was closed.",
            )),
            null_cap: Arc::new(Exception::new(Kind::Failed, "Called a null capability.")),
        }
    }

    /// Shows every frame to `trace` from now on.
    pub fn set_trace(&mut self, trace: Box<dyn Trace>) {
        self.tracer = Some(trace);
    }

    /// Longest frame that a connection may send, in bytes.
    pub fn max_frame(&self) -> usize {
        self.limits.frame_bytes
    }

    /// Adds a connection. A Bootstrap from it gets `bootstrap`, whose reference the engine takes.
    pub fn connect(&mut self, bootstrap: Option<CapId>) -> ConnId {
        self.serial += 1;
        let mut conn = Conn::new(self.serial);
        conn.bootstrap = bootstrap.map(|cap| cap.0);
        ConnId(self.conns.insert(conn) as u32)
    }

    /// Takes one whole message from `conn`. The bytes are patched in place and worth nothing afterwards.
    /// A message that breaks the protocol or a bound ends this connection, and no other.
    pub fn receive(&mut self, conn: ConnId, bytes: &mut [u8]) {
        let conn = conn.0;
        if !self.is_open(conn) {
            return;
        }
        self.received += 1;
        // What the host made us export is not this peer's doing.
        self.overflow = None;
        self.trace(conn, false, bytes);
        let handled = self.handle(conn, bytes);
        let handled = match self.overflow.take() {
            Some(_) => {
                Err(Fault::Limit { what: "capabilities exported to a peer", max: self.limits.exports })
            }
            None => handled,
        };
        if let Err(fault) = handled {
            self.end_hostile(conn, &fault.to_string());
        }
        self.settle();
    }

    pub(super) fn end_hostile(&mut self, conn: u32, why: &str) {
        let reason = Exception::new(Kind::Failed, why);
        self.send(conn, |out| build::abort(out, &reason));
        self.end(conn, Exception::disconnected(format!("The peer broke the protocol: {why}.")), true);
    }

    fn handle(&mut self, conn: u32, bytes: &mut [u8]) -> Result<(), Fault> {
        let mut frame = Frame::new(bytes)?;
        let message::Body { tag, body } = message::body(&mut frame)?;
        match tag {
            tag::CALL => self.on_call(conn, &mut frame, body),
            tag::RETURN => self.on_return(conn, &mut frame, body),
            tag::FINISH => {
                let (question, flags) = message::finish(&frame, &body);
                self.on_finish(conn, question, flags);
                Ok(())
            }
            tag::RESOLVE => self.on_resolve(conn, &mut frame, body),
            tag::RELEASE => {
                let (id, count) = message::release(&frame, &body);
                self.release_export(conn, id, count)
            }
            tag::DISEMBARGO => {
                let (target, loopback) = message::disembargo(&mut frame, &body)?;
                frame.check_disjoint()?;
                match loopback {
                    Loopback::Sender(id) => self.on_sender_loopback(conn, target, id),
                    Loopback::Receiver(id) => self.on_receiver_loopback(conn, target, id),
                    Loopback::Other => {
                        self.send(conn, |out| build::unimplemented(out, frame.bytes()));
                        Ok(())
                    }
                }
            }
            tag::BOOTSTRAP => {
                let question = message::bootstrap(&frame, &body);
                self.on_bootstrap(conn, question)
            }
            tag::ABORT => {
                let reason = exception::read(bytes);
                self.end(conn, Exception { kind: Kind::Disconnected, ..reason }, false);
                Ok(())
            }
            tag::UNIMPLEMENTED => self.on_unimplemented(conn, bytes),
            // Levels 3 and 4, and what is obsolete.
            _ => {
                self.send(conn, |out| build::unimplemented(out, bytes));
                Ok(())
            }
        }
    }

    /// Length of the frame that starts with `prefix`, as [`frame::length`] under this engine's bound.
    ///
    /// # Errors
    /// The segment table is not one that may be accepted: the connection has to end ([`Engine::reject`]).
    pub fn frame_length(&self, prefix: &[u8]) -> Result<Option<usize>, FrameError> {
        frame::length(prefix, self.limits.frame_bytes)
    }

    /// Ends a connection whose bytes are no frames, or that is beyond a bound which the host watches.
    pub fn reject(&mut self, conn: ConnId, why: &str) {
        self.end_hostile(conn.0, why);
        self.settle();
    }

    /// Ends a connection: its transport is gone, or the host cuts it. Whoever waits for it gets `reason`.
    pub fn close(&mut self, conn: ConnId, reason: Exception) {
        self.end(conn.0, reason, false);
        self.settle();
    }

    /// Gives the id of an ended connection free, when its last output is written or cannot be.
    pub fn forget(&mut self, conn: ConnId) {
        if self.conns.get(conn.0 as usize).is_some_and(|conn| conn.ended) {
            self.conns.remove(conn.0 as usize);
        }
    }

    /// Whether `conn` is a peer's connection that has not ended.
    pub(super) fn is_open(&self, conn: u32) -> bool {
        conn != HOST && self.conns.get(conn as usize).is_some_and(|conn| !conn.ended)
    }

    /// The next event. Take them all after every call of another method: a call on a host's object stays where
    /// it is until the host has answered.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes to write to `conn`. The driver takes what it could write off the front.
    pub fn output(&mut self, conn: ConnId) -> Option<&mut Vec<u8>> {
        self.conns.get_mut(conn.0 as usize).map(|conn| &mut conn.out)
    }

    /// The connections that got output since the last call of this method, each once.
    pub fn take_written(&mut self, into: &mut Vec<ConnId>) {
        into.clear();
        self.written.sort_unstable();
        self.written.dedup();
        into.extend(self.written.drain(..).map(ConnId));
    }

    /// How much `conn` holds.
    pub fn sizes(&self, conn: ConnId) -> TableSizes {
        let Some(conn) = self.conns.get(conn.0 as usize) else { return TableSizes::default() };
        TableSizes {
            questions: conn.questions.len() + conn.high.len(),
            answers: conn.answers.len(),
            imports: conn.imports.len(),
            exports: conn.exports.len(),
            embargoes: conn.embargoes.len(),
        }
    }

    /// Capabilities and held calls that the engine knows, over all connections.
    pub fn totals(&self) -> (usize, usize) {
        (self.caps.len(), self.held.len())
    }

    /// Appends one message to what `conn` has to be sent.
    pub(super) fn send(&mut self, conn: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(to) = self.conns.get_mut(conn as usize).filter(|to| !to.ended) else { return };
        let start = to.out.len();
        write(&mut to.out);
        if self.written.last() != Some(&conn) {
            self.written.push(conn);
        }
        if let (Some(tracer), Some(frame)) = (&mut self.tracer, to.out.get(start..)) {
            tracer.frame(&TraceRecord { conn: ConnId(conn), sent: true, received: self.received, frame });
        }
    }

    fn trace(&mut self, conn: u32, sent: bool, frame: &[u8]) {
        if let Some(tracer) = &mut self.tracer {
            tracer.frame(&TraceRecord { conn: ConnId(conn), sent, received: self.received, frame });
        }
    }

    /// Lets go on what can go on, and drops what nobody refers to.
    pub(super) fn settle(&mut self) {
        loop {
            if let Some(cap) = self.dropped.pop() {
                self.release_cap(cap);
            } else if let Some(waiting) = self.ready.pop_front() {
                self.resume(waiting);
            } else {
                return;
            }
        }
    }
}

impl Drop for Engine {
    /// The budget is the process's: what still waits in here gives its bytes back.
    fn drop(&mut self) {
        let bytes = self.held.iter().map(|(_, held)| held.charged).sum();
        self.budget.give(bytes);
    }
}
