//! Held messages whose turn has come: they go on, or find something else to wait for.

use super::engine::Engine;
use super::tables::*;
use crate::wire::frame::Frame;
use crate::wire::message::{self, Call, Target};

impl Engine {
    /// Lets a message go on whose turn has come.
    pub(super) fn resume(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::Call(key) => self.resume_call(key),
            Waiting::Disembargo { conn, serial, id, target } => {
                let dest = self.held_dest(&target, Some(conn));
                if matches!(dest, Dest::Promise(_) | Dest::Held(_)) {
                    return self.enqueue(Waiting::Disembargo { conn, serial, id, target }, &dest);
                }
                if self.is_same(conn, serial) {
                    self.uncount_waiting(conn);
                    match dest {
                        Dest::Remote { conn: to, .. } if to != conn => {
                            self.end_hostile(conn, "a Disembargo for a capability that does not lead back");
                        }
                        dest => self.pass_disembargo(conn, id, dest),
                    }
                }
                self.release_target(target);
            }
            Waiting::Echo { by, to, id, target } => {
                let dest = self.held_dest(&target, Some(by.0));
                if matches!(dest, Dest::Promise(_) | Dest::Held(_)) {
                    return self.enqueue(Waiting::Echo { by, to, id, target }, &dest);
                }
                if self.is_same(by.0, by.1) {
                    self.uncount_waiting(by.0);
                }
                if self.is_same(to.0, to.1) {
                    self.pass_echo(to.0, id, dest);
                }
                self.release_target(target);
            }
            Waiting::Finish { conn, serial, id, flags } => {
                if self.is_same(conn, serial) {
                    self.on_finish(conn, id, flags);
                }
            }
            Waiting::Pipeline { promise, conn, question, path } => {
                self.uncount_waiting(conn);
                let cap = self.intake_one(conn, message::Descriptor::ReceiverAnswer { question, path });
                if let Ok(Some(cap)) = cap {
                    self.resolve_promise(promise, Ok(cap));
                }
                self.release_cap(promise);
            }
        }
    }

    fn resume_call(&mut self, key: HeldKey) {
        let Some(held) = self.held_mut(key) else { return };
        if held.at_host {
            return;
        }
        // What the host sends on goes where the host said, behind what it has sent there before.
        let sender = (!held.forwarded).then_some(held.sender);
        let target = std::mem::replace(&mut held.target, HeldTarget::Cap(u32::MAX));
        let dest = self.held_dest(&target, sender);
        match dest {
            Dest::Promise(cap) => {
                // From now on it waits for the capability, whatever becomes of the answer that brought it.
                let kept = HeldTarget::Cap(self.retain_cap(cap));
                if let Some(held) = self.held_mut(key) {
                    held.target = kept;
                }
                self.release_target(target);
                self.enqueue(Waiting::Call(key), &dest);
            }
            Dest::Held(_) => {
                if let Some(held) = self.held_mut(key) {
                    held.target = target;
                }
                self.enqueue(Waiting::Call(key), &dest);
            }
            Dest::Object(object) => {
                let Some(held) = self.held_mut(key) else { return };
                held.target = target;
                let mut copy = held.frame.clone();
                if let Some(call) = parse(&mut copy) {
                    self.announce(key, &call, object);
                }
            }
            Dest::Broken(reason) => {
                self.release_target(target);
                self.fail_held(key, reason);
            }
            Dest::Remote { .. } => {
                if let HeldTarget::Answer { conn, question, path } = &target {
                    let target = Target::Answer { question: *question, path: path.clone() };
                    self.note_called(*conn, &target, &dest);
                }
                self.depart(key, dest);
                self.release_target(target);
            }
        }
    }

    /// Sends a held call on its way, and after it what waited for its answer.
    fn depart(&mut self, key: HeldKey, dest: Dest) {
        let Some(mut held) = self.unhold(key) else { return };
        let caps = std::mem::take(&mut held.caps);
        // The taker of a tail call may have finished, and calls still come by way of the tail caller.
        let Some(asker) = held.asker.or(held.also.first().copied()) else { return self.release_caps(caps) };
        let mut bytes = std::mem::take(&mut held.frame);
        let placed = Frame::new(&mut bytes).ok().and_then(|mut frame| {
            let body = message::body(&mut frame).ok()?.body;
            let call = Call::parse(&mut frame, body).ok()?;
            Some((frame, call))
        });
        if let Some((mut frame, mut call)) = placed {
            self.place(asker, &mut frame, &mut call, caps, dest);
        } else {
            self.release_caps(caps);
        }
        if held.forwarded {
            self.note_origin(asker, key.serial);
        }
        if !held.also.is_empty()
            && let Some(AnswerState::Forwarded { conn, question }) =
                self.answer(asker).map(|answer| &answer.state)
        {
            let (conn, question) = (*conn, *question);
            for also in &held.also {
                if let Some(lent) = self.answer(*also) {
                    lent.state = AnswerState::Forwarded { conn, question };
                }
            }
            if let Some(question) = self.conns.get_mut(conn as usize).and_then(|c| c.question(question)) {
                question.asker = held.asker;
                question.also = held.also;
            }
        }
        self.ready_first(held.queue);
    }

    /// A call of the host's choosing is under way: what comes of it is known by its serial number.
    fn note_origin(&mut self, asker: Asker, serial: u64) {
        if let Some(AnswerState::Forwarded { conn, question }) =
            self.answer(asker).map(|answer| &answer.state)
            && let (conn, question) = (*conn, *question)
            && let Some(question) = self.conns.get_mut(conn as usize).and_then(|c| c.question(question))
        {
            question.origin = serial;
        }
    }

    /// Where a held message goes: the way of what its sender says now, if it has one.
    fn held_dest(&self, target: &HeldTarget, sender: Option<u32>) -> Dest {
        match target {
            HeldTarget::Cap(cap) => self.dest_of(sender.map_or(*cap, |sender| self.led(sender, *cap))),
            HeldTarget::Answer { conn, question, path } => {
                let target = Target::Answer { question: *question, path: path.clone() };
                self.dest(*conn, &target).unwrap_or_else(|_| Dest::Broken(self.closed.clone()))
            }
        }
    }
}

fn parse(bytes: &mut [u8]) -> Option<Call> {
    let mut frame = Frame::new(bytes).ok()?;
    let body = message::body(&mut frame).ok()?.body;
    Call::parse(&mut frame, body).ok()
}
