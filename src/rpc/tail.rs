//! Tail calls: a question that takes the answer of another one, which its callee has sent back to us.

use super::engine::Engine;
use super::returning::{Called, NO_FLAGS};
use super::tables::*;
use crate::wire::build;
use crate::wire::frame::Frame;
use crate::wire::message::{self, Descriptor, Return, Target};

impl Engine {
    /// Lets the question `asker` take the answer of the redirected call `other` of the same peer.
    pub(super) fn take(&mut self, conn: u32, id: u32, asker: Option<Asker>, other: u32) {
        let tail_call = (conn, other);
        let live = asker.filter(|asker| self.answer(*asker).is_some_and(|answer| !answer.finished));
        if let Some(asker) = asker
            && live.is_none()
        {
            self.return_canceled(asker);
        }
        let Some(answer) = self.answer(tail_call).filter(|answer| answer.can_be_taken()) else { return };
        answer.returned = true;
        let untaken = answer.untaken.take();
        let (owner, held) = match &answer.state {
            AnswerState::Forwarded { conn, question } => (Some((*conn, *question)), None),
            AnswerState::Waiting(key) => (None, Some(*key)),
            AnswerState::Results(_) | AnswerState::Failed(_) => (None, None),
        };
        self.send(conn, |out| build::results_sent_elsewhere(out, other));
        let Some(taker) = live else { return self.nobody_takes(tail_call, owner, untaken) };
        if let Some(answer) = self.answer(tail_call) {
            answer.lent = true;
        }
        self.hand_over(taker, (conn, id), tail_call, owner, held);
        self.settle_taken(conn, id, other);
        match untaken.map(|untaken| *untaken) {
            None => {}
            Some(Untaken::Exception(reason)) => self.fail_answer(taker, reason),
            Some(Untaken::Frame { from, mut frame, caps }) => {
                self.deliver_untaken(taker, owner.or(Some((from, 0))), &mut frame, caps);
            }
        }
    }

    pub(super) fn deliver_untaken(
        &mut self,
        taker: Asker,
        from: Option<(u32, u32)>,
        bytes: &mut [u8],
        caps: CapList,
    ) {
        let Ok(mut frame) = Frame::new(bytes) else { return self.release_caps(caps) };
        let parsed = message::body(&mut frame).and_then(|body| Return::parse(&mut frame, body.body));
        match parsed {
            Ok(mut ret) => {
                self.deliver(taker, from, Called::new(), &mut frame, &mut ret, caps);
            }
            Err(_) => self.release_caps(caps),
        }
    }

    pub(super) fn called_on_tail(&mut self, taker: Asker) -> Called {
        let Some((conn, id)) = self.answer(taker).and_then(|answer| answer.tails.first().copied()) else {
            return Called::new();
        };
        let question = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id));
        question.map(|question| question.called.clone()).unwrap_or_default()
    }

    /// Makes the work of a tail call the taker's: its cancellation, its result. Calls on the tail call's own
    /// question stay possible until the tail caller finishes it.
    fn hand_over(
        &mut self,
        taker: Asker,
        said_by: (u32, u32),
        tail_call: Asker,
        owner: Option<(u32, u32)>,
        held: Option<HeldKey>,
    ) {
        if let Some((conn, id)) = owner
            && let Some(question) = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id))
        {
            question.asker = Some(taker);
            question.also.push(tail_call);
        }
        if let Some(held) = held.and_then(|key| self.held_mut(key)) {
            held.asker = Some(taker);
            held.also.push(tail_call);
        }
        let state = match (owner, held) {
            (Some((conn, question)), _) => AnswerState::Forwarded { conn, question },
            (None, Some(key)) => AnswerState::Waiting(key),
            (None, None) => AnswerState::Failed(self.closed.clone()),
        };
        let further = self.answer(tail_call).map(|answer| answer.legs.clone()).unwrap_or_default();
        if let Some(answer) = self.answer(taker) {
            answer.state = state;
            answer.tails = answer.tails.iter().copied().chain([said_by]).collect();
            answer.legs = answer.legs.iter().copied().chain([said_by]).chain(further).collect();
        }
    }

    /// Promises for capabilities in the answer that was taken become promises for those in the tail call's.
    fn settle_taken(&mut self, conn: u32, id: u32, other: u32) {
        for (cap, path) in self.derived_promises(conn, id) {
            let inner = Descriptor::ReceiverAnswer { question: other, path: path.clone() };
            if let Ok(Some(inner)) = self.intake_one(conn, inner) {
                let along = (conn, Target::Answer { question: id, path });
                self.resolve_exports_along(cap, inner, None, along);
                self.release_cap(inner);
            }
        }
    }

    /// The taker is gone: what the tail call works on is canceled, what it brought is released.
    fn nobody_takes(&mut self, tail_call: Asker, owner: Option<(u32, u32)>, untaken: Option<Box<Untaken>>) {
        if let Some(Untaken::Frame { caps, .. }) = untaken.map(|untaken| *untaken) {
            self.release_caps(caps);
        }
        self.detach_answer(tail_call, NO_FLAGS);
        // The tail caller has its Return, and may use the id for another question before this one comes back.
        let question = owner.and_then(|(conn, id)| self.conns.get_mut(conn as usize)?.question(id));
        if let Some(question) = question
            && question.asker == Some(tail_call)
        {
            question.asker = None;
        }
    }
}
