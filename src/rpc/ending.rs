//! The end of a connection. What faces a peer that lives on becomes broken and stays until that peer lets go of
//! it, since a peer takes ids that it does not know for a breach of the protocol. What faced the dead goes.

use std::sync::Arc;

use super::engine::{Engine, Event};
use super::ids::IdTable;
use super::returning::NO_FLAGS;
use super::tables::*;
use crate::wire::exception::Exception;
use crate::wire::{build, message::Target};

impl Engine {
    pub(super) fn end(&mut self, conn: u32, reason: Exception, hostile: bool) {
        if !self.is_open(conn) {
            return;
        }
        let Some(slot) = self.conns.get_mut(conn as usize) else { return };
        let out = std::mem::take(&mut slot.out);
        let mut gone = std::mem::replace(slot, Conn::new(0));
        slot.ended = true;
        slot.out = out;
        let unfinished = unfinished(&gone);
        let reason = Arc::new(reason);
        // Its answers are looked at while they are still in the table: cancellation goes by the table.
        slot.answers = std::mem::take(&mut gone.answers);
        self.end_answers(conn);
        self.end_exports(conn, &mut gone);
        self.end_imports(&mut gone, &reason);
        self.end_questions(conn, std::mem::take(&mut gone.questions), &reason);
        self.end_questions(conn, std::mem::take(&mut gone.high), &reason);
        for embargo in gone.embargoes.drain() {
            match embargo {
                Embargo::Switch { promise, then } => self.came_back(promise, then),
                Embargo::Peer { conn, serial, id } => {
                    if self.is_same(conn, serial) {
                        self.send(conn, |out| build::disembargo(out, &Target::Import(0), true, id));
                    }
                }
            }
        }
        if let Some(bootstrap) = gone.bootstrap {
            self.release_cap(bootstrap);
        }
        self.events.push_back(Event::Closed {
            conn: ConnId(conn),
            reason: Exception::clone(&reason),
            hostile,
            unfinished,
        });
    }

    /// Whatever works on the answers of the dead is canceled.
    fn end_answers(&mut self, conn: u32) {
        let ids: Vec<u32> = self
            .conns
            .get(conn as usize)
            .map(|conn| conn.answers.iter().map(|(id, _)| id).collect())
            .unwrap_or_default();
        for id in ids {
            self.detach_answer((conn, id), NO_FLAGS);
        }
        if let Some(conn) = self.conns.get_mut(conn as usize) {
            conn.answers = IdTable::default();
        }
        // What was kept to confirm a Finish has nobody to confirm it to; the slot may soon be another's.
        for (_, other) in &mut self.conns {
            for (_, question) in &mut other.questions {
                question.asker = question.asker.filter(|asker| asker.0 != conn);
            }
        }
    }

    fn end_exports(&mut self, conn: u32, gone: &mut Conn) {
        for (id, export) in std::mem::take(&mut gone.exports) {
            if let Some(cap) = self.caps.get_mut(export.cap as usize) {
                cap.exports.retain(|at| *at != (conn, id as u32));
            }
            if let Some(now) = export.now {
                self.release_cap(now);
            }
            self.release_cap(export.cap);
        }
    }

    fn end_imports(&mut self, gone: &mut Conn, reason: &Arc<Exception>) {
        for import in gone.imports.drain() {
            if let Some(cap) = self.caps.get_mut(import.cap as usize) {
                cap.home = Home::Broken(reason.clone());
            }
            self.resolve_exports(import.cap, &Err(reason.clone()));
        }
    }

    fn end_questions(
        &mut self,
        conn: u32,
        questions: impl IntoIterator<Item = (impl TryInto<u32>, Question)>,
        reason: &Arc<Exception>,
    ) {
        for (id, question) in questions {
            let id = id.try_into().unwrap_or(u32::MAX);
            for cap in &question.derived {
                if let Some(cap) = self.caps.get_mut(*cap as usize) {
                    cap.home = Home::Broken(reason.clone());
                }
                self.resolve_exports(*cap, &Err(reason.clone()));
            }
            for asker in question.asker.into_iter().chain(question.also) {
                let Some(answer) = self.answer(asker) else { continue };
                if answer.tails.contains(&(conn, id)) {
                    // It had only said who answers, and that one may still do so.
                    answer.tails = answer.tails.iter().copied().filter(|tail| *tail != (conn, id)).collect();
                    continue;
                }
                if answer.returned || answer.lent {
                    answer.state = AnswerState::Failed(reason.clone());
                } else {
                    self.fail_answer(asker, reason.clone());
                }
            }
        }
    }
}

/// How many of the host's forwarded calls wait for an answer of `conn`, by themselves or by what came of them.
fn unfinished(conn: &Conn) -> usize {
    let open = conn.questions.iter().filter(|(_, question)| {
        let asked = question.asker.is_some_and(|(conn, _)| conn != HOST);
        asked && !question.returned && !question.finished && question.origin != 0
    });
    let mut origins: Vec<u64> = open.map(|(_, question)| question.origin).collect();
    origins.sort_unstable();
    origins.dedup();
    origins.len()
}
