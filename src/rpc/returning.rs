//! Returns: where an answer goes, and what becomes of the capabilities and promises that hang on it.

use std::sync::Arc;

use smallvec::SmallVec;

use super::call::exported;
use super::engine::{Engine, Event, Fault};
use super::tables::*;
use crate::wire::build::{self, Content};
use crate::wire::exception::{self, Exception};
use crate::wire::frame::{Frame, FrameError, Struct};
use crate::wire::message::{self, Outcome, Return, Transform};

pub(super) type Called = SmallVec<[Transform; 1]>;

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
}

/// Flags of a Finish that nobody sent: ours.
pub(super) const NO_FLAGS: u64 = message::NO_EARLY_CANCELLATION_WORKAROUND;
