//! Returns: where an answer goes, and what becomes of the capabilities and promises that hang on it.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::call::exported;
use super::engine::{Engine, Event, Fault, Incoming};
use super::tables::*;
use crate::wire::build::{self, Content};
use crate::wire::exception::{self, Exception};
use crate::wire::frame::{Frame, FrameError, Paths, Struct};
use crate::wire::message::{self, Descriptor, Outcome, Payload, Return, Target, Transform};

type Called = SmallVec<[Transform; 1]>;

impl Engine {
    pub(super) fn on_return(&mut self, conn: u32, frame: &mut Frame, body: Struct) -> Result<(), Fault> {
        let id = message::bootstrap(frame, &body);
        if id >= HIGH {
            // No Return was wanted; its id may belong to another question by now.
            return Ok(());
        }
        let ret = Return::parse(frame, body)?;
        let Some(question) = self.conns.get(conn as usize).and_then(|conn| conn.questions.get(id as usize))
        else {
            return Err(Fault::Protocol("a Return answers no question of ours"));
        };
        if question.returned {
            return Err(Fault::Protocol("a question was answered twice"));
        }
        let (finished, origin) = (question.finished, question.origin);
        self.check_outcome(conn, &ret.outcome, finished)?;
        if matches!(ret.outcome, Outcome::Exception) && exception::try_read(frame.bytes()).is_err() {
            return Err(FrameError::Unreadable.into());
        }
        let caps = match &ret.outcome {
            // Our Finish told the peer to release them itself.
            Outcome::Results(payload) if !finished => self.intake(conn, frame, payload)?,
            _ => CapList::new(),
        };
        if let Err(error) = frame.check_disjoint() {
            self.release_caps(caps);
            return Err(error.into());
        }
        self.note_origins(conn, &caps, origin);
        self.accept_return(conn, id, frame, ret, caps)
    }

    fn check_outcome(&self, conn: u32, outcome: &Outcome, finished: bool) -> Result<(), Fault> {
        match outcome {
            Outcome::Canceled if !finished => {
                Err(Fault::Protocol("a call came back as canceled that was not finished"))
            }
            Outcome::ResultsSentElsewhere => {
                Err(Fault::Protocol("results were sent elsewhere although nobody asked for that"))
            }
            Outcome::AwaitFromThirdParty => Err(Fault::Protocol("a Return names a third party")),
            Outcome::TakeFromOtherQuestion(id) => {
                let answer = self.conns.get(conn as usize).and_then(|conn| conn.answers.get(id));
                match finished || answer.is_some_and(Answer::can_be_taken) {
                    true => Ok(()),
                    false => Err(Fault::Protocol("a Return takes the answer of no redirected call")),
                }
            }
            _ => Ok(()),
        }
    }

    fn accept_return(
        &mut self,
        conn: u32,
        id: u32,
        frame: &mut Frame,
        mut ret: Return,
        caps: CapList,
    ) -> Result<(), Fault> {
        let Some(question) = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id)) else {
            self.release_caps(caps);
            return Ok(());
        };
        question.returned = true;
        question.forgotten = ret.no_finish_needed;
        let asker = question.asker;
        // A tail call's result comes later, and goes by what was called here until then.
        let called = match ret.outcome {
            Outcome::TakeFromOtherQuestion(_) => {
                question.tail = true;
                Called::new()
            }
            _ => std::mem::take(&mut question.called),
        };
        let exports = std::mem::take(&mut question.param_exports);
        if ret.release_param_caps {
            for export in exports {
                if let Err(fault) = self.release_export(conn, export, 1) {
                    self.release_caps(caps);
                    return Err(fault);
                }
            }
        }
        self.settle_derived(conn, id, frame, &ret.outcome, &caps);
        if let Outcome::TakeFromOtherQuestion(other) = ret.outcome {
            self.take(conn, id, asker, other);
        } else if let Some(asker) = asker {
            self.deliver(asker, Some((conn, id)), called, frame, &mut ret, caps);
        } else {
            self.release_caps(caps);
        }
        self.after_return(conn, id);
        Ok(())
    }

    /// Frees what a returned question no longer needs.
    fn after_return(&mut self, conn: u32, id: u32) {
        let Some(question) = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id)) else {
            return;
        };
        if question.finished {
            self.remove_question(conn, id);
            return;
        }
        if question.forgotten {
            // The peer has no entry any more: what is still to be called on this answer can only fail.
            let (asker, also) = (question.asker.take(), std::mem::take(&mut question.also));
            for asker in asker.into_iter().chain(also) {
                let closed = self.closed.clone();
                if let Some(answer) = self.answer(asker)
                    && matches!(answer.state, AnswerState::Forwarded { conn: c, question: q } if (c, q) == (conn, id))
                {
                    answer.state = AnswerState::Failed(closed);
                }
            }
            let closed = self.closed.clone();
            self.break_derived(conn, id, &closed);
        }
        self.maybe_finish(conn, id);
    }

    fn remove_question(&mut self, conn: u32, id: u32) {
        if let Some(conn) = self.conns.get_mut(conn as usize) {
            conn.remove_question(id);
        }
    }

    /// Brings the answer of one question to whoever asked. `path` is the question on which calls may have gone
    /// along, `called` the paths on which they did.
    pub(super) fn deliver(
        &mut self,
        asker: Asker,
        from: Option<(u32, u32)>,
        called: Called,
        frame: &mut Frame,
        ret: &mut Return,
        caps: CapList,
    ) {
        let (conn, id) = asker;
        let Some(answer) = self.answer(asker) else { return self.release_caps(caps) };
        if answer.finished {
            self.release_caps(caps);
            return self.return_canceled(asker);
        }
        if answer.redirect {
            let mut bytes = Vec::new();
            frame.write(&mut bytes);
            let untaken = Untaken::Frame { from: from.map_or(HOST, |(conn, _)| conn), frame: bytes, caps };
            answer.untaken = Some(Box::new(untaken));
            return;
        }
        if answer.only_promise_pipeline {
            return self.release_caps(caps);
        }
        let tail = answer.tails.first().copied();
        answer.returned = true;
        let called = if tail.is_some() { self.called_on_tail(asker) } else { called };
        if conn == HOST {
            return self.return_to_host(id, from, &called, frame, &ret.outcome, caps);
        }
        if let Outcome::Results(payload) = &ret.outcome
            && !caps.is_empty()
        {
            let descriptors = self.describe_results(asker, from, &called, frame, payload, &caps);
            payload.patch(frame, &descriptors);
        }
        let no_finish = ret.no_finish_needed && tail.is_none();
        ret.patch(frame, id);
        ret.set_no_finish_needed(frame, no_finish);
        self.send(conn, |out| frame.write(out));
        if no_finish {
            let answer = self.conns.get_mut(conn as usize).and_then(|conn| conn.answers.remove(&id));
            for (_, cap) in answer.map(|answer| answer.led).unwrap_or_default() {
                self.release_cap(cap);
            }
            if let Some(question) =
                from.and_then(|(conn, id)| self.conns.get_mut(conn as usize)?.question(id))
            {
                question.asker = None;
            }
        }
        self.release_caps(caps);
    }

    /// The capability table of results, as their asker has to see it. A capability that lives neither with the
    /// peer that answers nor with the asker is reached faster than the calls that went along the answer: it
    /// is put under an embargo. Calls along the answer that cross its Return go the way of those after it.
    fn describe_results(
        &mut self,
        asker: Asker,
        from: Option<(u32, u32)>,
        called: &Called,
        frame: &mut Frame,
        payload: &Payload,
        caps: &CapList,
    ) -> SmallVec<[Descriptor; 4]> {
        let to = asker.0;
        let tail = self.answer(asker).and_then(|answer| answer.tails.first().copied());
        let answers = if tail.is_some() { None } else { from.map(|(conn, _)| conn) };
        let along = tail.or(from);
        // Looked for once there is a capability for which they matter.
        let mut paths = None;
        let mut descriptors = SmallVec::new();
        let (mut led, mut own) = (Vec::new(), false);
        for (index, cap) in caps.iter().enumerate() {
            let Some(cap) = *cap else {
                descriptors.push(Descriptor::None);
                continue;
            };
            let returned_back = leads_back(payload, frame, index as u32);
            let back = tail.is_some() || returned_back;
            let answers = answers.filter(|_| !back);
            // Who answers its own question with something of ours sends us what was called on the answer, too.
            let around = back && along.is_some_and(|(conn, _)| conn == to);
            let third = along.is_some() && (around || self.is_third(cap, to, answers));
            let mut now = self.retain_cap(self.follow(cap));
            let mut embargoed = false;
            if third && let Some((conn, question)) = along {
                let paths = paths.get_or_insert_with(|| payload.capabilities(frame));
                for path in paths_to(paths, index as u32).filter(|path| called.contains(path)) {
                    let target = Target::Answer { question, path: path.clone() };
                    let then = self.further_ways(asker, from.filter(|_| returned_back), path);
                    let embargo = self.embargo(now, conn, &target, then);
                    self.release_cap(now);
                    now = embargo;
                    embargoed = true;
                }
            }
            let descriptor = if embargoed { self.export(now, to) } else { self.describe(now, to) };
            own |= descriptor.leads_back();
            if third || matches!(descriptor, Descriptor::SenderPromise(_)) {
                let paths = paths.get_or_insert_with(|| payload.capabilities(frame));
                let mut here = paths_to(paths, index as u32);
                led.extend(here.clone().map(|path| (path.clone(), self.retain_cap(now))));
                if let Descriptor::SenderPromise(id) = descriptor
                    && here.any(|path| called.contains(path))
                {
                    self.mark_called(to, id);
                }
            }
            self.release_cap(now);
            descriptors.push(descriptor);
        }
        if let Some(answer) = self.answer(asker) {
            answer.result_exports = exported(&descriptors);
            answer.led = led;
            answer.own = own;
        }
        descriptors
    }

    /// The ways that calls at `path` of an answer take when they have come back from the first: by the other tail
    /// callers, and by the peer that answered, if what it answered leads `back`.
    fn further_ways(&mut self, asker: Asker, back: Option<(u32, u32)>, path: &Transform) -> VecDeque<u32> {
        let legs = self.answer(asker).map(|answer| answer.legs.clone()).unwrap_or_default();
        if legs.is_empty() {
            return VecDeque::new();
        }
        let mut ways = VecDeque::new();
        for (conn, id) in legs.into_iter().skip(1) {
            let question = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id));
            if question.is_some_and(|question| question.tail && !question.finished) {
                ways.push_back(self.derive(conn, id, path.clone()));
            }
        }
        if let Some((conn, id)) = back.filter(|(conn, _)| *conn != HOST)
            && self
                .conns
                .get_mut(conn as usize)
                .and_then(|conn| conn.question(id))
                .is_some_and(|question| !question.finished)
        {
            ways.push_back(self.derive(conn, id, path.clone()));
        }
        ways
    }

    /// A question of the host's was answered. What it called along the answer is ordered as for any other asker.
    fn return_to_host(
        &mut self,
        id: u32,
        from: Option<(u32, u32)>,
        called: &Called,
        frame: &mut Frame,
        outcome: &Outcome,
        mut caps: CapList,
    ) {
        if let Outcome::Results(payload) = outcome
            && !called.is_empty()
        {
            self.hold_back((HOST, id), from, called, frame, payload, &mut caps);
        }
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        let result = match outcome {
            Outcome::Results(_) => {
                let caps = caps.into_iter().map(|cap| cap.map(CapId)).collect();
                Ok(Incoming { frame: bytes, caps })
            }
            _ => {
                self.release_caps(caps);
                Err(exception::read(&bytes))
            }
        };
        self.events.push_back(Event::Return { question: QuestionId(id), result });
    }

    /// Puts an embargo on capabilities of an answer to the host that live neither with the peer that answers nor
    /// anywhere its earlier calls have got to yet.
    fn hold_back(
        &mut self,
        asker: Asker,
        from: Option<(u32, u32)>,
        called: &Called,
        frame: &mut Frame,
        payload: &Payload,
        caps: &mut CapList,
    ) {
        let tail = self.answer(asker).and_then(|answer| answer.tails.first().copied());
        let answers = if tail.is_some() { None } else { from.map(|(conn, _)| conn) };
        let Some((conn, question)) = tail.or(from) else { return };
        let mut led = Vec::new();
        for (path, index) in payload.capabilities(frame) {
            let Some(Some(slot)) = caps.get_mut(index as usize) else { continue };
            let back = leads_back(payload, frame, index);
            let answers = answers.filter(|_| !back);
            if !called.contains(&path) || !self.is_third(*slot, HOST, answers) {
                continue;
            }
            let target = Target::Answer { question, path: path.clone() };
            let then = self.further_ways(asker, from.filter(|_| back), &path);
            let embargo = self.embargo(*slot, conn, &target, then);
            self.release_cap(std::mem::replace(slot, embargo));
            led.push((path, self.retain_cap(embargo)));
        }
        if let Some(answer) = self.answer(asker) {
            answer.led = led;
        }
    }

    /// Confirms a Finish that came before the answer, and forgets the question. A tail caller is told what
    /// every tail caller is told.
    pub(super) fn return_canceled(&mut self, (conn, id): Asker) {
        let Some(from) = self.conns.get_mut(conn as usize) else { return };
        let Some(answer) = from.answers.remove(&id) else { return };
        if conn == HOST || answer.only_promise_pipeline || answer.returned {
            return;
        }
        match answer.redirect {
            true => self.send(conn, |out| build::results_sent_elsewhere(out, id)),
            false => self.send(conn, |out| build::canceled(out, id)),
        }
    }

    /// Answers a question with a failure.
    pub(super) fn fail_answer(&mut self, asker: Asker, reason: Arc<Exception>) {
        let Some(answer) = self.answer(asker) else { return };
        if answer.finished {
            return self.return_canceled(asker);
        }
        answer.state = AnswerState::Failed(reason.clone());
        if answer.redirect && !answer.returned {
            answer.untaken = Some(Box::new(Untaken::Exception(reason)));
            return;
        }
        self.return_failure(asker);
    }

    /// Sends the Return of an answer whose state is a failure, if one is wanted.
    pub(super) fn return_failure(&mut self, (conn, id): Asker) {
        let Some(answer) = self.answer((conn, id)) else { return };
        let AnswerState::Failed(reason) = &answer.state else { return };
        let reason = reason.clone();
        if answer.only_promise_pipeline || answer.returned {
            return;
        }
        answer.returned = true;
        if conn == HOST {
            let result = Err(Exception::clone(&reason));
            self.events.push_back(Event::Return { question: QuestionId(id), result });
        } else {
            self.send(conn, |out| build::exception(out, id, &reason));
        }
    }

    /// Sends the Return of an answer whose state is results of the host's, with this content.
    pub(super) fn return_results(&mut self, asker: Asker, content: &Content) {
        let (conn, id) = asker;
        let Some(answer) = self.answer(asker) else { return };
        let AnswerState::Results(results) = &answer.state else { return };
        let caps = results.caps.clone();
        if answer.only_promise_pipeline || answer.returned {
            return;
        }
        answer.returned = true;
        let descriptors = self.describe_all(&caps, conn);
        if let Some(answer) = self.answer(asker) {
            answer.result_exports = exported(&descriptors);
        }
        self.send(conn, |out| build::results(out, id, content, &descriptors));
    }

    /// Lets the question `asker` take the answer of the redirected call `other` of the same peer.
    fn take(&mut self, conn: u32, id: u32, asker: Option<Asker>, other: u32) {
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

    fn called_on_tail(&mut self, taker: Asker) -> Called {
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

/// Where the capability at `index` of the table is in the content.
fn paths_to(paths: &Paths, index: u32) -> impl Iterator<Item = &Transform> + Clone {
    paths.iter().filter(move |(_, at)| *at == index).map(|(path, _)| path)
}

/// Whether an entry of a capability table names something of ours. If that has become a capability of the peer that
/// names it, calls along its promise go from it to us and back once more, and so take another way than new ones.
pub(super) fn leads_back(payload: &Payload, frame: &mut Frame, index: u32) -> bool {
    payload.descriptor(frame, index).is_ok_and(|descriptor| descriptor.leads_back())
}

/// Flags of a Finish that nobody sent: ours.
pub(super) const NO_FLAGS: u64 = message::NO_EARLY_CANCELLATION_WORKAROUND;
