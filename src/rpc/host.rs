//! What the host does: its objects answer calls, its code makes calls.

use std::sync::Arc;

use smallvec::SmallVec;

use super::engine::{Engine, Event, Incoming};
use super::tables::*;
use crate::wire::build::{self, Content};
use crate::wire::exception::Exception;
use crate::wire::frame::Frame;
use crate::wire::message::{self, Body, Call, Descriptor, Target, Transform};

/// A call that the host makes.
#[derive(Debug)]
pub struct Outgoing {
    /// Type id of the interface.
    pub interface: u64,
    /// Ordinal of the method.
    pub method: u16,
    /// The parameters.
    pub content: Content,
    /// What capabilities in them stand for. The engine takes the references.
    pub caps: Vec<Option<CapId>>,
}

fn list(caps: Vec<Option<CapId>>) -> CapList {
    caps.into_iter().map(|cap| cap.map(|cap| cap.0)).collect()
}

/// Entries of a capability table that are filled in when the frame leaves.
fn blank(caps: &CapList) -> Vec<Descriptor> {
    vec![Descriptor::None; caps.len()]
}

impl Engine {
    /// An object of the host's: calls on it become [`Event::Call`].
    pub fn object(&mut self, object: ObjectId) -> CapId {
        CapId(self.new_cap(Home::Object(object)))
    }

    /// Another reference to the same capability.
    pub fn retain(&mut self, cap: &CapId) -> CapId {
        CapId(self.retain_cap(cap.0))
    }

    /// Gives a reference back.
    pub fn release(&mut self, cap: CapId) {
        self.release_cap(cap.0);
        self.settle();
    }

    /// Asks for the main object of the peer on `conn`: the answer's one capability, at the empty path.
    pub fn bootstrap(&mut self, conn: ConnId) -> QuestionId {
        let question = self.host_question();
        let Some(to) = self.conns.get_mut(conn.0 as usize).filter(|conn| !conn.ended) else {
            let reason = Arc::new(Exception::disconnected("The connection has ended."));
            self.add_answer(HOST, question, Answer::new(AnswerState::Failed(reason)));
            self.return_failure((HOST, question));
            return QuestionId(question);
        };
        let id = to.add_question(Question::new((HOST, question), false));
        self.send(conn.0, |out| build::bootstrap(out, id));
        let state = AnswerState::Forwarded { conn: conn.0, question: id };
        self.add_answer(HOST, question, Answer::new(state));
        QuestionId(question)
    }

    fn host_question(&mut self) -> u32 {
        self.host_questions.insert(()) as u32
    }

    /// Calls a method. The answer comes as [`Event::Return`]; the question stays open, and can be pipelined
    /// on, until [`Engine::finish`].
    pub fn call(&mut self, target: &CapId, call: Outgoing) -> QuestionId {
        let question = self.host_question();
        let asker = (HOST, question);
        self.add_answer(HOST, question, Answer::new(AnswerState::Failed(self.closed.clone())));
        let caps = list(call.caps);
        let mut bytes = Vec::new();
        let method = (call.interface, call.method);
        build::call(&mut bytes, question, &Target::Import(0), method, &call.content, &blank(&caps));
        let dest = self.dest_of(target.0);
        self.note_called_at(HOST, &dest);
        self.place_bytes(asker, &mut bytes, caps, dest);
        self.settle();
        QuestionId(question)
    }

    fn place_bytes(&mut self, asker: Asker, bytes: &mut [u8], caps: CapList, dest: Dest) {
        let parsed = Frame::new(bytes).and_then(|mut frame| {
            let Body { body, .. } = message::body(&mut frame)?;
            let call = Call::parse(&mut frame, body)?;
            Ok((frame, call))
        });
        match parsed {
            Ok((mut frame, mut call)) => self.place(asker, &mut frame, &mut call, caps, dest),
            Err(error) => {
                self.release_caps(caps);
                let reason = Exception::failed(format!("The call cannot be sent: {error}."));
                self.fail_answer(asker, Arc::new(reason));
            }
        }
    }

    /// The capability at `path` in the answer to an open question of the host's, there or still to come.
    pub fn pipeline(&mut self, question: QuestionId, path: &[u16]) -> CapId {
        let path = Transform::from_slice(path);
        let descriptor = Descriptor::ReceiverAnswer { question: question.0, path };
        match self.intake_one(HOST, descriptor) {
            Ok(Some(cap)) => CapId(cap),
            Ok(None) | Err(_) => CapId(self.broken("The question is not open.")),
        }
    }

    /// The frame of a call that waits for the host.
    pub fn params(&self, call: CallId) -> Option<&[u8]> {
        let held = self.held.get(call.0.slot as usize).filter(|held| held.serial == call.0.serial)?;
        Some(&held.frame)
    }

    /// The capability with this index in the parameters of a call that waits for the host.
    pub fn param_cap(&mut self, call: CallId, index: u32) -> Option<CapId> {
        let cap = self.held_mut(call.0)?.caps.get(index as usize).copied().flatten()?;
        Some(CapId(self.retain_cap(cap)))
    }

    /// Takes the frame of a call that waits for the host, and a reference to each capability in its parameters.
    /// Before [`Engine::forward`] the frame has to come back ([`Engine::restore_params`]); the references stay
    /// the host's.
    pub fn take_params(&mut self, call: CallId) -> Option<Incoming> {
        let held = self.held_mut(call.0).filter(|held| held.at_host)?;
        let frame = std::mem::take(&mut held.frame);
        let caps = held.caps.clone();
        let retained = |cap: Option<u32>| cap.map(|cap| CapId(self.retain_cap(cap)));
        Some(Incoming { frame, caps: caps.into_iter().map(retained).collect() })
    }

    /// Gives back what [`Engine::take_params`] took, unchanged.
    pub fn restore_params(&mut self, call: CallId, frame: Vec<u8>) {
        if let Some(held) = self.held_mut(call.0).filter(|held| held.at_host) {
            held.frame = frame;
        }
    }

    /// Sends a call that waits for the host on to another capability, as it came.
    pub fn forward(&mut self, call: CallId, to: &CapId) {
        let to = self.retain_cap(to.0);
        let Some(held) = self.held_mut(call.0).filter(|held| held.at_host) else {
            return self.release(CapId(to));
        };
        held.at_host = false;
        held.forwarded = true;
        let before = std::mem::replace(&mut held.target, HeldTarget::Cap(to));
        self.release_target(before);
        self.ready.push_back(Waiting::Call(call.0));
        self.settle();
    }

    /// Says what will be at `path` of the answer to a call that waits for the host: calls that go along the answer
    /// there need not wait for it. The answer must have the same capability there. The engine takes the reference.
    pub fn lead(&mut self, call: CallId, path: &[u16], to: CapId) {
        if let Some(held) = self.held_mut(call.0).filter(|held| held.at_host) {
            let askers: SmallVec<[Asker; 2]> = held.asker.iter().chain(&held.also).copied().collect();
            // What waits for something else in the answer gets back in line, a Finish at its end.
            held.finishing = false;
            let queue = std::mem::take(&mut held.queue);
            for asker in askers {
                let cap = self.retain_cap(to.0);
                match self.answer(asker) {
                    Some(answer) => answer.led.push((Transform::from_slice(path), cap)),
                    None => self.release_cap(cap),
                }
            }
            self.ready_first(queue);
        }
        self.release(to);
    }

    /// Answers a call that waits for the host. The engine takes the references.
    pub fn respond(&mut self, call: CallId, content: &Content, caps: Vec<Option<CapId>>) {
        let caps = list(caps);
        let waits = self.held_mut(call.0).is_some_and(|held| held.at_host);
        let Some(held) = waits.then(|| self.unhold(call.0)).flatten() else {
            self.release_caps(caps);
            return self.settle();
        };
        let mut frame = Vec::new();
        build::results(&mut frame, 0, content, &blank(&caps));
        for asker in held.asker.into_iter().chain(held.also) {
            for cap in caps.iter().flatten() {
                self.retain_cap(*cap);
            }
            self.answer_with(asker, frame.clone(), content, caps.clone());
        }
        self.release_caps(caps);
        self.release_caps(held.caps);
        self.release_target(held.target);
        self.ready_first(held.queue);
        self.settle();
    }

    fn answer_with(&mut self, asker: Asker, mut frame: Vec<u8>, content: &Content, caps: CapList) {
        let Some(answer) = self.answer(asker) else { return self.release_caps(caps) };
        if answer.redirect && !answer.returned {
            answer.untaken =
                Some(Box::new(Untaken::Frame { from: HOST, frame: frame.clone(), caps: caps.clone() }));
            for cap in caps.iter().flatten() {
                self.retain_cap(*cap);
            }
        }
        if asker.0 == HOST {
            return self.host_to_host(asker, &mut frame, caps);
        }
        if self.answer(asker).is_some_and(|answer| !answer.redirect && !answer.tails.is_empty()) {
            // Calls on it went by the tail caller, and go on doing so.
            return self.deliver_untaken(asker, None, &mut frame, caps);
        }
        if let Some(answer) = self.answer(asker) {
            answer.state = AnswerState::Results(Box::new(Results { frame, caps }));
            if !answer.redirect {
                self.return_results(asker, content);
            }
        }
    }

    /// The host answers a question of its own.
    fn host_to_host(&mut self, asker: Asker, frame: &mut Vec<u8>, caps: CapList) {
        let Some(answer) = self.answer(asker) else { return self.release_caps(caps) };
        answer.returned = true;
        let result = caps.iter().map(|cap| cap.map(|cap| CapId(self.retain_cap(cap)))).collect();
        let incoming = Incoming { frame: frame.clone(), caps: result };
        if let Some(answer) = self.answer(asker) {
            answer.state = AnswerState::Results(Box::new(Results { frame: std::mem::take(frame), caps }));
        }
        self.events.push_back(Event::Return { question: QuestionId(asker.1), result: Ok(incoming) });
    }

    /// Fails a call that waits for the host.
    pub fn fail(&mut self, call: CallId, reason: Exception) {
        if self.held_mut(call.0).is_some_and(|held| held.at_host) {
            self.fail_held(call.0, Arc::new(reason));
        }
        self.settle();
    }

    /// A capability that is not known yet, and the means to settle it: calls on it wait, in order.
    pub fn promise(&mut self) -> (PromiseId, CapId) {
        let cap = self.new_cap(Home::Promise(Box::default()));
        (PromiseId(self.retain_cap(cap)), CapId(cap))
    }

    /// Settles a promise; what waits for it goes on, or fails. The engine takes the reference.
    pub fn resolve(&mut self, promise: PromiseId, to: Result<CapId, Exception>) {
        self.resolve_promise(promise.0, to.map(|cap| cap.0).map_err(Arc::new));
        self.release_cap(promise.0);
        self.settle();
    }

    /// Calls and bytes that wait for a target on behalf of `conn`.
    pub fn parked(&self, conn: ConnId) -> (usize, usize) {
        self.conns.get(conn.0 as usize).map_or((0, 0), |conn| (conn.parked_calls, conn.parked_bytes))
    }
}
