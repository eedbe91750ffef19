//! What the task does with what its handles say, and with what happens in its engine.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::task::Context;

use tokio_util::sync::CancellationToken;

use super::payload::Payload;
use super::peer::Inventory;
use super::pending::Question;
use super::queue::{Asking, Connecting, Member, Op, Shared};
use super::serve::{Call, Handler};
use super::stub::{Inner, Place, Stub};
use super::{RpcError, line::Line};
use crate::net::{Net, Plug};
use crate::rpc::{CallId, CapId, ConnId, Event, Incoming, ObjectId, Outgoing, QuestionId};
use crate::wire::exception::Exception;

/// Marks the ids of objects of ours, so that another host of the same engine can have ids of its own.
const OURS: u64 = 1 << 63;

/// Bytes of answers that a peer may leave unread: two of the longest messages. To stop reading from it instead would be
/// no bound but a deadlock, with a peer that does the same.
const MAX_UNREAD: usize = 128 << 20;

/// Whose question it is.
enum Asked {
    /// A call's. It is gone if nobody waits for the answer: then its Finish is on its way.
    Call(Weak<Question>),
    /// A Bootstrap, for this stub.
    Bootstrap(Weak<Inner>),
}

/// The host of an engine's local objects, or the part of a host that looks after them.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    objects: HashMap<u64, Box<dyn Handler>>,
    next_object: u64,
    asked: HashMap<QuestionId, Asked>,
    calls: HashMap<CallId, CancellationToken>,
    lines: HashMap<ConnId, Arc<Line>>,
    /// Room that calls took whose peer has not read them yet.
    unread: Vec<(ConnId, usize)>,
    /// Empty between turns; kept for its memory.
    ops: VecDeque<Op>,
}

impl Desk {
    pub fn new(shared: Arc<Shared>) -> Self {
        Desk {
            shared,
            objects: HashMap::new(),
            next_object: 0,
            asked: HashMap::new(),
            calls: HashMap::new(),
            lines: HashMap::new(),
            unread: Vec::new(),
            ops: VecDeque::new(),
        }
    }

    /// At each wake-up: from now on, whoever queues something needs to wake nobody.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        self.shared.waker.register(cx.waker());
        self.shared.awake();
    }

    /// Whether nobody is left to serve.
    pub fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    pub fn wake(&self) {
        self.shared.waker.wake();
    }

    /// Does what was queued, in order.
    pub fn turn(&mut self, net: &mut Net) {
        self.unread.retain(|(conn, cost)| {
            let behind = net.is_behind(*conn);
            if !behind {
                self.shared.give_room(*cost);
            }
            behind
        });
        // What is dropped on the way may queue more.
        self.perform_all(net, Shared::take);
    }

    fn perform_all(&mut self, net: &mut Net, take: impl Fn(&Shared, &mut VecDeque<Op>) -> bool) {
        let mut ops = std::mem::take(&mut self.ops);
        while take(&self.shared, &mut ops) {
            for op in ops.drain(..) {
                self.perform(net, op);
            }
        }
        self.ops = ops;
    }

    /// Takes an event that concerns local objects; others come back.
    pub fn event(&mut self, net: &mut Net, event: Event) -> Option<Event> {
        match event {
            Event::Call { call, object, interface, method } if object.0 & OURS != 0 => {
                self.on_call(net, call, object, interface, method);
            }
            Event::ObjectDropped { object } if object.0 & OURS != 0 => {
                self.objects.remove(&object.0);
            }
            Event::Canceled { call } if self.calls.contains_key(&call) => {
                if let Some(canceled) = self.calls.remove(&call) {
                    canceled.cancel();
                }
            }
            Event::Return { question, result } if self.asked.contains_key(&question) => {
                self.on_return(net, question, result);
            }
            Event::Closed { conn, reason, hostile, .. } if self.lines.contains_key(&conn) => {
                if let Some(line) = self.lines.remove(&conn) {
                    if hostile {
                        line.mark_hostile();
                        tracing::warn!(peer = line.name, "{}", reason.reason);
                    }
                    line.end(reason);
                }
            }
            event => return Some(event),
        }
        None
    }

    /// What those who wait for a lost connection are told.
    pub fn lost(&self, conn: ConnId, why: &str) -> Exception {
        let name = self.lines.get(&conn).map_or("the peer", |line| line.name.as_str());
        Exception::disconnected(format!("Network connection lost: {name}: {why}."))
    }

    fn perform(&mut self, net: &mut Net, op: Op) {
        match op {
            Op::Call(asking) => self.ask(net, *asking),
            Op::Connect(connecting) => self.connect(net, *connecting),
            Op::Inspect { line, reply } => {
                // Whoever asked may have gone.
                let _ = reply.send(self.inventory(net, line.and_then(|line| line.conn())));
            }
            Op::Close(line) => {
                if let Some(conn) = line.conn() {
                    let text =
                        format!("Network connection lost: the connection to {} was closed here.", line.name);
                    net.engine.close(conn, Exception::disconnected(text));
                }
            }
            Op::Respond { call, body } => {
                self.calls.remove(&call);
                let caps = self.caps(net, &body.stubs);
                net.engine.respond(call, &body.content, caps);
                if let Some(conn) = net.host_wrote()
                    && net.unwritten(conn) > MAX_UNREAD
                {
                    net.engine.reject(conn, "it calls, and does not read the answers");
                }
            }
            Op::Fail { call, reason } => {
                self.calls.remove(&call);
                net.engine.fail(call, reason);
            }
            Op::Lead { call, path, to } => {
                let to = self.cap(net, &to);
                net.engine.lead(call, &path, to);
            }
            Op::Forward { call, frame, to } => {
                self.calls.remove(&call);
                let to = self.cap(net, &to);
                net.engine.restore_params(call, frame);
                net.engine.forward(call, &to);
                net.engine.release(to);
                net.host_wrote();
            }
            Op::Release(cap) => net.engine.release(cap),
            Op::Finish(question) => {
                self.asked.remove(&question);
                net.engine.finish(question);
            }
        }
    }

    fn ask(&mut self, net: &mut Net, asking: Asking) {
        let Asking { target, interface, method, body, question, cost } = asking;
        // Nobody waits for it any more, and nothing can come of it.
        if Arc::strong_count(&question) == 1 {
            return self.shared.give_room(cost);
        }
        let to = self.cap(net, &target);
        let caps = self.caps(net, &body.stubs);
        let id = net.engine.call(&to, Outgoing { interface, method, content: body.content, caps });
        net.engine.release(to);
        question.sent(id);
        self.asked.insert(id, Asked::Call(Arc::downgrade(&question)));
        match net.host_wrote() {
            Some(conn) => self.unread.push((conn, cost)),
            None => self.shared.give_room(cost),
        }
    }

    fn connect(&mut self, net: &mut Net, connecting: Connecting) {
        let Connecting { fd, read, bootstrap, line } = connecting;
        let plug = match Plug::new(fd, read) {
            Ok(plug) => plug,
            Err(error) => {
                let text = format!("The connection to {} cannot be used: {error}.", line.name);
                return line.end(Exception::disconnected(text));
            }
        };
        let bootstrap = bootstrap.map(|stub| self.cap(net, &stub));
        let conn = net.engine.connect(bootstrap);
        net.plug(conn, plug);
        line.open(conn);
        self.lines.insert(conn, line);
    }

    /// A reference to what a stub stands for.
    fn cap(&mut self, net: &mut Net, stub: &Stub) -> CapId {
        let broken = |net: &mut Net, reason| {
            let (promise, cap) = net.engine.promise();
            net.engine.resolve(promise, Err(reason));
            cap
        };
        if !stub.is_of(&self.shared) {
            return broken(net, RpcError::Foreign.into_exception());
        }
        let mut place = stub.0.place();
        let nowhere = Place::Broken(Exception::failed("The stub is gone."));
        let cap = match std::mem::replace(&mut *place, nowhere) {
            Place::At(cap) => cap,
            Place::Answer(question, path) => match question.id() {
                Some(id) => {
                    let cap = net.engine.pipeline(id, &path);
                    question.placed(path, &stub.0);
                    cap
                }
                None => broken(net, Exception::disconnected("The call was never sent.")),
            },
            Place::Bootstrap(line) => match line.conn() {
                Some(conn) => self.bootstrap(net, stub, conn),
                None => broken(net, line.reason()),
            },
            Place::Handler(handler) => {
                self.next_object += 1;
                let id = self.next_object | OURS;
                self.objects.insert(id, handler);
                net.engine.object(ObjectId(id))
            }
            Place::Broken(reason) => broken(net, reason),
        };
        let retained = net.engine.retain(&cap);
        *place = Place::At(cap);
        retained
    }

    fn bootstrap(&mut self, net: &mut Net, stub: &Stub, conn: ConnId) -> CapId {
        let question = net.engine.bootstrap(conn);
        self.asked.insert(question, Asked::Bootstrap(Arc::downgrade(&stub.0)));
        net.engine.pipeline(question, &[])
    }

    fn caps(&mut self, net: &mut Net, stubs: &[Option<Stub>]) -> Vec<Option<CapId>> {
        stubs.iter().map(|stub| stub.as_ref().map(|stub| self.cap(net, stub))).collect()
    }

    fn payload(&self, incoming: Incoming) -> Payload {
        let stub = |cap| Stub::new(Member::new(&self.shared), Place::At(cap));
        let stubs = incoming.caps.into_iter().map(|cap| cap.map(stub)).collect();
        Payload { frame: incoming.frame, stubs }
    }

    fn on_call(&mut self, net: &mut Net, call: CallId, object: ObjectId, interface: u64, method: u16) {
        // Gone already: a Finish in the same frame's wake.
        let Some(incoming) = net.engine.take_params(call) else { return };
        let params = self.payload(incoming);
        let canceled = CancellationToken::new();
        self.calls.insert(call, canceled.clone());
        let member = Member::new(&self.shared);
        let call = Call { member, id: Some(call), canceled, interface, method, params };
        match self.objects.get_mut(&object.0) {
            Some(handler) => handler.call(call),
            None => call.fail(Exception::failed("The object is gone.")),
        }
        // What it answered at once counts before the next frame: calls on the answer need not be held then, and nobody
        // hears of what came after them before they were made.
        self.perform_all(net, Shared::take_more);
    }

    fn on_return(&mut self, net: &mut Net, question: QuestionId, result: Result<Incoming, Exception>) {
        match self.asked.get(&question) {
            Some(Asked::Call(asker)) => {
                let asker = asker.upgrade();
                let answer = result.map(|incoming| self.payload(incoming)).map_err(RpcError::from);
                if let (Some(asker), Ok(answer)) = (&asker, &answer) {
                    lead(net, asker, answer);
                }
                // Without an asker its Finish is on its way, and the answer's stubs give themselves back.
                if asker.is_some_and(|asker| asker.complete(answer)) {
                    self.asked.remove(&question);
                    net.engine.finish(question);
                }
            }
            Some(Asked::Bootstrap(stub)) => {
                let stub = stub.upgrade();
                self.asked.remove(&question);
                let caps = result.map_or_else(|_| Vec::new(), |incoming| incoming.caps);
                for cap in caps.into_iter().flatten() {
                    // Calls need no question from here on. A further capability in the answer takes the place of
                    // this one, and nobody loses but the peer that sent it.
                    let before = match stub.as_deref().map(Inner::place).as_deref_mut() {
                        Some(Place::At(known)) => std::mem::replace(known, cap),
                        _ => cap,
                    };
                    net.engine.release(before);
                }
                net.engine.finish(question);
            }
            None => {}
        }
    }

    fn inventory(&self, net: &Net, conn: Option<ConnId>) -> Inventory {
        let (capabilities, held) = net.engine.totals();
        Inventory {
            sizes: conn.map(|conn| net.engine.sizes(conn)).unwrap_or_default(),
            capabilities,
            held,
            handlers: self.objects.len(),
            questions: self.asked.len(),
        }
    }
}

/// Lets stubs for parts of an answer stand for what is there now: were calls on them still to go along the question,
/// they could be overtaken by later calls on the answer's own stubs.
fn lead(net: &mut Net, question: &Question, answer: &Payload) {
    for (path, stub) in question.take_placed() {
        let (Some(stub), Some(now)) = (stub.upgrade(), answer.stub(&path)) else { continue };
        let now = match &*now.0.place() {
            Place::At(cap) => net.engine.retain(cap),
            _ => continue,
        };
        let before = match &mut *stub.place() {
            Place::At(cap) => std::mem::replace(cap, now),
            _ => now,
        };
        net.engine.release(before);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shared.end();
        for (_, asked) in self.asked.drain() {
            if let Asked::Call(question) = asked
                && let Some(question) = question.upgrade()
            {
                question.complete(Err(RpcError::Ended));
            }
        }
        for (_, canceled) in self.calls.drain() {
            canceled.cancel();
        }
        for (_, line) in self.lines.drain() {
            line.end(Exception::disconnected("The connection was closed here."));
        }
    }
}
