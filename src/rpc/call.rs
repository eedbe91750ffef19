//! Calls: whom they are for, and how they get there.

use std::sync::Arc;

use super::engine::{Engine, Event, Fault};
use super::tables::*;
use crate::wire::exception::{Exception, Kind};
use crate::wire::frame::{Frame, Struct};
use crate::wire::message::{Body, Call, Descriptor, Target, Transform};
use crate::wire::{build, message};

/// Most different paths on which calls are remembered for one question. They are kept to find the results that
/// need an embargo; no interface has an answer with as many capabilities.
const MAX_CALLED: usize = 64;

impl Engine {
    pub(super) fn on_bootstrap(&mut self, conn: u32, question: u32) -> Result<(), Fault> {
        self.check_question(conn, question)?;
        let bootstrap = self.conns.get(conn as usize).and_then(|conn| conn.bootstrap);
        let Some(cap) = bootstrap else {
            let reason = Exception::failed("This connection serves nothing.");
            self.add_answer(conn, question, Answer::new(AnswerState::Failed(Arc::new(reason))));
            self.return_failure((conn, question));
            return Ok(());
        };
        let cap = self.retain_cap(cap);
        let state = AnswerState::Results(Box::new(Results {
            frame: Vec::new(),
            caps: CapList::from_elem(Some(cap), 1),
        }));
        self.add_answer(conn, question, Answer::new(state));
        self.return_results((conn, question), &build::Content::capability());
        Ok(())
    }

    fn check_question(&self, conn: u32, question: u32) -> Result<(), Fault> {
        let Some(from) = self.conns.get(conn as usize) else {
            return Err(Fault::Protocol("the connection has ended"));
        };
        if from.answers.contains_key(&question) {
            return Err(Fault::Protocol("a question id is in use already"));
        }
        if from.answers.len() >= self.limits.open_questions {
            return Err(Fault::Limit { what: "open questions", max: self.limits.open_questions });
        }
        Ok(())
    }

    pub(super) fn add_answer(&mut self, conn: u32, question: u32, answer: Answer) {
        if let Some(from) = self.conns.get_mut(conn as usize) {
            from.answers.insert(question, answer);
        }
    }

    pub(super) fn answer(&mut self, (conn, question): Asker) -> Option<&mut Answer> {
        self.conns.get_mut(conn as usize)?.answers.get_mut(&question)
    }

    pub(super) fn on_call(&mut self, conn: u32, frame: &mut Frame, body: Struct) -> Result<(), Fault> {
        let mut call = Call::parse(frame, body)?;
        self.check_question(conn, call.question)?;
        // Found before the parameters are taken in, so that a bad target costs nothing.
        let dest = self.dest(conn, &call.target)?;
        let caps = self.intake(conn, frame, &call.payload)?;
        if let Err(error) = frame.check_disjoint() {
            self.release_caps(caps);
            return Err(error.into());
        }
        self.note_called(conn, &call.target, &dest);
        let asker = (conn, call.question);
        let mut answer = Answer::new(AnswerState::Failed(self.nothing()));
        answer.redirect = call.results_to == 1;
        answer.only_promise_pipeline = call.only_promise_pipeline && !answer.redirect;
        self.add_answer(conn, call.question, answer);
        if call.results_to > 1 {
            self.release_caps(caps);
            let reason = Exception::new(Kind::Unimplemented, "Results cannot be sent to a third party.");
            self.fail_answer(asker, Arc::new(reason));
            return Ok(());
        }
        self.place(asker, frame, &mut call, caps, dest);
        Ok(())
    }

    /// Stands in a state until the real one is known, within one method.
    fn nothing(&self) -> Arc<Exception> {
        self.closed.clone()
    }

    /// Where a message for `target`, as `conn` names it, has to go.
    pub(super) fn dest(&self, conn: u32, target: &Target) -> Result<Dest, Fault> {
        let Some(from) = self.conns.get(conn as usize) else {
            return Err(Fault::Protocol("the connection has ended"));
        };
        match target {
            Target::Import(id) => {
                let export = from.exports.get(*id as usize);
                let export = export.ok_or(Fault::Protocol("a target is no export of ours"))?;
                match export.told {
                    Told::Settled | Told::Promise => Ok(self.dest_of(export.cap)),
                    Told::Resolved | Told::Own => Ok(self.dest_of(self.led(conn, export.cap))),
                }
            }
            Target::Answer { question, path } => {
                let Some(answer) = from.answers.get(question).filter(|answer| !answer.finished) else {
                    return Ok(Dest::Broken(self.closed.clone()));
                };
                match answer.led.iter().find(|(led, _)| led == path) {
                    Some((_, cap)) => Ok(self.dest_of(self.led(conn, *cap))),
                    None => Ok(self.dest_of_answer(answer, path)),
                }
            }
        }
    }

    fn dest_of_answer(&self, answer: &Answer, path: &Transform) -> Dest {
        let remote =
            |conn, question| Dest::Remote { conn, target: Target::Answer { question, path: path.clone() } };
        if let Some((conn, question)) = answer.tails.first() {
            return remote(*conn, *question);
        }
        match &answer.state {
            AnswerState::Forwarded { conn, question } => remote(*conn, *question),
            AnswerState::Waiting(key) => Dest::Held(*key),
            AnswerState::Failed(reason) => Dest::Broken(reason.clone()),
            AnswerState::Results(results) => {
                let Results { frame, caps } = &**results;
                let index = if frame.is_empty() { path.is_empty().then_some(0) } else { cap_at(frame, path) };
                match index.and_then(|index| caps.get(index as usize).copied().flatten()) {
                    Some(cap) => self.dest_of(cap),
                    None => Dest::Broken(self.null_cap.clone()),
                }
            }
        }
    }

    /// Where a message for a capability has to go.
    pub(super) fn dest_of(&self, cap: u32) -> Dest {
        let index = self.follow(cap);
        match self.caps.get(index as usize).map(|cap| &cap.home) {
            Some(Home::Import { conn, id }) => Dest::Remote { conn: *conn, target: Target::Import(*id) },
            Some(Home::Answer(of)) => Dest::Remote {
                conn: of.conn,
                target: Target::Answer { question: of.question, path: of.path.clone() },
            },
            Some(Home::Object(_)) => Dest::Object(index),
            Some(Home::Promise(_)) => Dest::Promise(index),
            Some(Home::Broken(reason)) => Dest::Broken(reason.clone()),
            Some(Home::Alias(_)) | None => Dest::Broken(self.null_cap.clone()),
        }
    }

    /// Remembers that a call goes along a promise to `dest`, for the embargo that its resolution may need.
    pub(super) fn note_called(&mut self, conn: u32, target: &Target, dest: &Dest) {
        if let Target::Import(id) = target {
            let export =
                self.conns.get_mut(conn as usize).and_then(|from| from.exports.get_mut(*id as usize));
            match export {
                Some(Export { told: Told::Settled, .. }) | None => return,
                Some(Export { told: Told::Promise, called, .. }) => return *called = true,
                Some(_) => {}
            }
        }
        self.note_called_at(conn, dest);
    }

    pub(super) fn note_called_at(&mut self, conn: u32, dest: &Dest) {
        match dest {
            Dest::Remote { conn: to, target: Target::Import(id) } => {
                let import = self.conns.get(*to as usize).and_then(|to| to.imports.get(id));
                if let Some(cap) = import.filter(|import| import.promise).map(|import| import.cap) {
                    self.note_called_cap(conn, cap);
                }
            }
            Dest::Remote { conn: to, target: Target::Answer { question, path } } => {
                let Some(question) = self.conns.get_mut(*to as usize).and_then(|to| to.question(*question))
                else {
                    return;
                };
                // A question that was answered by a tail call keeps what was called on it.
                let open = !question.returned || question.tail;
                if open && question.called.len() < MAX_CALLED && !question.called.contains(path) {
                    question.called.push(path.clone());
                }
            }
            Dest::Promise(cap) => self.note_called_cap(conn, *cap),
            Dest::Object(_) | Dest::Held(_) | Dest::Broken(_) => {}
        }
    }

    /// Remembers the same for a capability to which other names of the peer's have led.
    fn note_called_cap(&mut self, conn: u32, cap: u32) {
        let Some(cap) = self.caps.get(cap as usize) else { return };
        let Some(from) = self.conns.get_mut(conn as usize) else { return };
        for (_, id) in cap.exports.iter().filter(|(to, _)| *to == conn) {
            if let Some(export) = from.exports.get_mut(*id as usize) {
                export.called |= export.told == Told::Promise;
            }
        }
    }

    /// Sends a call on, or keeps it. The answer of `asker` exists; the references in `caps` are taken.
    pub(super) fn place(
        &mut self,
        asker: Asker,
        frame: &mut Frame,
        call: &mut Call,
        caps: CapList,
        dest: Dest,
    ) {
        let (conn, target) = match dest {
            Dest::Remote { conn, target } => (conn, target),
            Dest::Broken(reason) => {
                self.release_caps(caps);
                return self.fail_answer(asker, reason);
            }
            Dest::Object(_) | Dest::Promise(_) | Dest::Held(_) => {
                return self.hold_new(asker, frame, call, caps, dest);
            }
        };
        if let Some(reason) = self.refusal(conn, call) {
            self.release_caps(caps);
            return self.fail_answer(asker, reason);
        }
        let only_pipeline = self.answer(asker).is_some_and(|answer| answer.only_promise_pipeline);
        let Some(to) = self.conns.get_mut(conn as usize) else { return };
        let origin = to.origin(&target);
        let question = to.add_question(Question { origin, ..Question::new(asker, only_pipeline) });
        let descriptors = self.describe_all(&caps, conn);
        let exported = exported(&descriptors);
        if let Some(question) = self.conns.get_mut(conn as usize).and_then(|to| to.question(question)) {
            question.param_exports = exported;
        }
        call.patch(frame, question, &target);
        call.payload.patch(frame, &descriptors);
        self.send(conn, |out| frame.write(out));
        if let Some(answer) = self.answer(asker) {
            answer.state = AnswerState::Forwarded { conn, question };
        }
        self.release_caps(caps);
    }

    /// Answers calls of a method for a peer, since whoever calls does not understand its answer. `None`: they go there.
    pub fn refuse(&mut self, conn: ConnId, refused: Option<Refused>) {
        if let Some(to) = self.conns.get_mut(conn.0 as usize) {
            to.refused = refused;
        }
    }

    fn refusal(&self, conn: u32, call: &Call) -> Option<Arc<Exception>> {
        let Refused { interface, method, reason } = self.conns.get(conn as usize)?.refused.as_ref()?;
        (*interface == call.interface && *method == call.method).then(|| reason.clone())
    }

    pub(super) fn describe_all(&mut self, caps: &CapList, to: u32) -> smallvec::SmallVec<[Descriptor; 4]> {
        caps.iter()
            .map(|cap| match cap {
                Some(cap) => self.describe(*cap, to),
                None => Descriptor::None,
            })
            .collect()
    }

    /// The peer does not know a kind of message that we sent.
    pub(super) fn on_unimplemented(&mut self, conn: u32, bytes: &[u8]) -> Result<(), Fault> {
        let mut echoed = Vec::new();
        let Some((tag, id)) = unimplemented(bytes, &mut echoed) else { return Ok(()) };
        match tag {
            message::tag::CALL => {
                let reason = Exception::new(Kind::Unimplemented, "The target does not take calls.");
                let Some(question) = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id))
                else {
                    return Ok(());
                };
                if question.returned {
                    return Ok(());
                }
                question.returned = true;
                // A peer that knows no Call has no entry for it either, and wants no Finish.
                question.forgotten = true;
                let (asker, also) = (question.asker.take(), std::mem::take(&mut question.also));
                let reason = Arc::new(reason);
                for asker in asker.into_iter().chain(also) {
                    self.fail_answer(asker, reason.clone());
                }
                self.break_derived(conn, id, &reason);
                self.maybe_finish(conn, id);
                Ok(())
            }
            // The peer did not take what the promise became.
            message::tag::RESOLVE => match resolved(&mut echoed) {
                Some(Descriptor::SenderHosted(id) | Descriptor::SenderPromise(id)) => {
                    self.release_export(conn, id, 1)
                }
                _ => Ok(()),
            },
            _ => Err(Fault::Protocol("a message that every peer speaks came back as unimplemented")),
        }
    }

    /// Tells a held call's host, or keeps the call behind what it waits for.
    pub(super) fn announce(&mut self, key: HeldKey, call: &Call, object: u32) {
        let Some(Cap { home: Home::Object(object), .. }) = self.caps.get(object as usize) else { return };
        let object = *object;
        let Some(held) = self.held.get_mut(key.slot as usize) else { return };
        held.at_host = true;
        self.events.push_back(Event::Call {
            call: CallId(key),
            object,
            interface: call.interface,
            method: call.method,
        });
    }
}

/// The export ids among descriptors that were written for a peer.
pub(super) fn exported(descriptors: &[Descriptor]) -> smallvec::SmallVec<[u32; 2]> {
    let ids = descriptors.iter().filter_map(|descriptor| match descriptor {
        Descriptor::SenderHosted(id) | Descriptor::SenderPromise(id) => Some(*id),
        _ => None,
    });
    ids.collect()
}

/// Index of the capability at `path` in the results of a Return that the host made.
fn cap_at(frame: &[u8], path: &[u16]) -> Option<u32> {
    let mut bytes = frame.to_vec();
    let mut frame = Frame::new(&mut bytes).ok()?;
    let Body { body, .. } = message::body(&mut frame).ok()?;
    match message::Return::parse(&mut frame, body).ok()?.outcome {
        message::Outcome::Results(payload) => payload.capability(&mut frame, path),
        _ => None,
    }
}

/// The capability in the Resolve inside an Unimplemented.
fn resolved(bytes: &mut [u8]) -> Option<Descriptor> {
    let mut frame = Frame::new(bytes).ok()?;
    let outer = message::body(&mut frame).ok()?;
    let inner = frame.child(&outer.body, 0).ok()?;
    message::Resolve::parse(&mut frame, inner).ok()?.cap
}

/// Tag and id of the message inside an Unimplemented.
fn unimplemented(bytes: &[u8], copy: &mut Vec<u8>) -> Option<(u16, u32)> {
    copy.extend_from_slice(bytes);
    let mut frame = Frame::new(copy).ok()?;
    let outer = message::body(&mut frame).ok()?;
    let tag = frame.data(&outer.body, 0) as u16;
    let inner = frame.child(&outer.body, 0).ok()?;
    Some((tag, frame.data(&inner, 0) as u32))
}
