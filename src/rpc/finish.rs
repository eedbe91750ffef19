//! Finish: the asker does not want an answer, or what is left of it, any more.

use super::engine::{Engine, Event};
use super::tables::*;
use crate::wire::message::KEEP_RESULT_CAPS;

impl Engine {
    /// A Finish for no question is ignored: it crossed a Return that wanted none.
    pub(super) fn on_finish(&mut self, conn: u32, id: u32, flags: u64) {
        let asker = (conn, id);
        let Some(answer) = self.answer(asker) else { return };
        if answer.finished {
            return;
        }
        if let AnswerState::Waiting(key) = answer.state
            && !answer.lent
            && self.postpone_finish(key, asker, flags)
        {
            return;
        }
        let Some(answer) = self.answer(asker) else { return };
        let exports = std::mem::take(&mut answer.result_exports);
        if flags & KEEP_RESULT_CAPS == 0 {
            for export in exports {
                // They were counted when they were sent, so only a peer that released them twice gets here with
                // fewer; its own Release will have ended it.
                let _ = self.release_export(conn, export, 1);
            }
        }
        if self.detach_answer(asker, flags) {
            if let Some(answer) = self.answer(asker) {
                answer.finished = true;
            }
            return;
        }
        let Some(answer) = self.answer(asker) else { return };
        if answer.returned {
            if let Some(from) = self.conns.get_mut(conn as usize) {
                from.answers.remove(&id);
            }
        } else {
            self.return_canceled(asker);
        }
    }

    /// Takes an answer's claim off whatever works on it. Returns whether a Return of a peer is still to come
    /// that has to be confirmed to the asker.
    pub(super) fn detach_answer(&mut self, asker: Asker, flags: u64) -> bool {
        let Some(answer) = self.answer(asker) else { return false };
        let (lent, tails) = (answer.lent, std::mem::take(&mut answer.tails));
        let (untaken, led) = (answer.untaken.take(), std::mem::take(&mut answer.led));
        let closed = self.closed.clone();
        let Some(answer) = self.answer(asker) else { return false };
        let state = std::mem::replace(&mut answer.state, AnswerState::Failed(closed));
        if let Some(Untaken::Frame { caps, .. }) = untaken.map(|untaken| *untaken) {
            self.release_caps(caps);
        }
        for (_, cap) in led {
            self.release_cap(cap);
        }
        let awaited = match state {
            AnswerState::Forwarded { conn, question } if lent => {
                if let Some(question) = self.question(conn, question) {
                    question.also.retain(|also| *also != asker);
                }
                self.maybe_finish(conn, question);
                false
            }
            AnswerState::Forwarded { conn, question } => self.detach_question(conn, question, asker, flags),
            AnswerState::Waiting(key) if lent => {
                let abandoned = self.held_mut(key).is_some_and(|held| {
                    held.also.retain(|also| *also != asker);
                    held.asker.is_none() && held.also.is_empty()
                });
                if abandoned {
                    self.cancel_held(key);
                }
                false
            }
            AnswerState::Waiting(key) if self.is_led_to(key) => {
                if let Some(held) = self.held_mut(key) {
                    held.asker = None;
                }
                false
            }
            AnswerState::Waiting(key) => {
                self.cancel_held(key);
                false
            }
            AnswerState::Results(results) => {
                self.release_caps(results.caps);
                false
            }
            AnswerState::Failed(_) => false,
        };
        for (conn, question) in tails {
            // The questions that said where to take the answer from were kept for the calls on them.
            self.detach_question(conn, question, asker, flags);
        }
        awaited
    }

    fn question(&mut self, conn: u32, id: u32) -> Option<&mut Question> {
        self.conns.get_mut(conn as usize)?.question(id)
    }

    /// As [`Engine::detach_answer`], for one question of ours.
    fn detach_question(&mut self, conn: u32, id: u32, asker: Asker, flags: u64) -> bool {
        let Some(question) = self.question(conn, id) else { return false };
        if question.asker == Some(asker) {
            question.finish_flags = flags;
        }
        let only_pipeline = question.only_promise_pipeline;
        let answered = question.returned;
        if answered || !question.derived.is_empty() || !question.also.is_empty() {
            // The upstream question stays while calls on it may come from elsewhere, or by way of a tail caller;
            // the asker is done with it.
            question.asker = None;
            self.maybe_finish(conn, id);
            return false;
        }
        question.asker = None;
        self.maybe_finish(conn, id);
        if only_pipeline || asker.0 == HOST {
            return false;
        }
        // The Return will confirm it; until then the asker's id stays taken, which bounds what it can pile up.
        if let Some(question) = self.question(conn, id) {
            question.asker = Some(asker);
        }
        true
    }

    /// The host is done with a question.
    pub fn finish(&mut self, question: QuestionId) {
        self.on_finish(HOST, question.0, super::returning::NO_FLAGS | KEEP_RESULT_CAPS);
        // Nobody has to be told that a question of the host's was canceled.
        if let Some(host) = self.conns.get_mut(HOST as usize) {
            host.answers.remove(&question.0);
        }
        if self.host_questions.contains(question.0 as usize) {
            self.host_questions.remove(question.0 as usize);
        }
        let is_late = |event: &Event| matches!(event, Event::Return { question: q, .. } if *q == question);
        let late = self.events.iter().position(is_late).and_then(|index| self.events.remove(index));
        if let Some(Event::Return { result: Ok(incoming), .. }) = late {
            for cap in incoming.caps.into_iter().flatten() {
                self.release_cap(cap.0);
            }
        }
        self.settle();
    }
}
