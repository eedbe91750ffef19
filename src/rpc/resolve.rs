//! Resolve: what promises became, and the embargoes that keep the order of calls across that.

use std::collections::VecDeque;
use std::sync::Arc;

use super::engine::{Engine, Fault};
use super::results::leads_back;
use super::tables::*;
use crate::wire::build;
use crate::wire::exception::{self, Exception};
use crate::wire::frame::{Frame, FrameError, Struct};
use crate::wire::message::{Descriptor, Outcome, Resolve, Target, Transform};

impl Engine {
    pub(super) fn on_resolve(&mut self, conn: u32, frame: &mut Frame, body: Struct) -> Result<(), Fault> {
        let resolve = Resolve::parse(frame, body)?;
        frame.check_disjoint()?;
        let id = resolve.promise;
        // What leads back to us takes another way, even if it has become the peer's own meanwhile.
        let answers = resolve.cap.as_ref().is_some_and(|cap| !cap.leads_back()).then_some(conn);
        let becomes = match resolve.cap {
            Some(descriptor) => {
                let cap = self.intake_one(conn, descriptor)?;
                Some(cap.ok_or(Fault::Protocol("a promise resolved to no capability"))?)
            }
            None => None,
        };
        let import = self.conns.get_mut(conn as usize).and_then(|conn| conn.imports.get_mut(&id));
        let origin = import.as_ref().map_or(0, |import| import.origin);
        let promise = match import {
            // Released before the Resolve could know: what it brings is not wanted either.
            None => {
                self.dropped.extend(becomes);
                return Ok(());
            }
            Some(import) if !import.promise => {
                self.dropped.extend(becomes);
                return Err(Fault::Protocol("a Resolve for a capability that is no promise"));
            }
            Some(import) => {
                import.promise = false;
                import.cap
            }
        };
        match becomes {
            Some(cap) if self.follow(cap) == promise => {
                self.dropped.push(cap);
                return Err(Fault::Protocol("a promise resolved to itself"));
            }
            Some(cap) => {
                self.note_origins(conn, &[Some(cap)], origin);
                self.resolve_exports_along(promise, cap, answers, (conn, Target::Import(id)));
                self.dropped.push(cap);
            }
            None => {
                let reason = exception::try_read(frame.bytes()).map_err(|_| FrameError::Unreadable)?;
                self.resolve_exports(promise, &Err(Arc::new(reason)));
            }
        }
        Ok(())
    }

    /// The exports of `cap` whose receivers still expect a Resolve, each now taken as told.
    fn take_expecting(&mut self, cap: u32) -> Vec<(u32, u32, bool)> {
        let exports = self.caps.get(cap as usize).map(|cap| cap.exports.clone()).unwrap_or_default();
        let mut expecting = Vec::new();
        for (conn, id) in exports {
            let export = self.conns.get_mut(conn as usize).and_then(|conn| conn.exports.get_mut(id as usize));
            if let Some(export) = export
                && export.told == Told::Promise
            {
                export.told = Told::Resolved;
                expecting.push((conn, id, export.called));
            }
        }
        expecting
    }

    /// Tells those who hold `cap` as a promise what it became, where calls did not go along any peer.
    pub(super) fn resolve_exports(&mut self, cap: u32, to: &Result<u32, Arc<Exception>>) {
        for (conn, id, called) in self.take_expecting(cap) {
            match to {
                Ok(to) => {
                    let descriptor = self.describe(*to, conn);
                    self.tell(conn, id, called, &descriptor, None);
                }
                Err(reason) => self.send(conn, |out| build::resolve_exception(out, id, reason)),
            }
        }
    }

    /// Tells those who hold `cap` as a promise that it became `to`. Calls on it went along `along`; `answers`
    /// is the peer on which they end in order without our help.
    pub(super) fn resolve_exports_along(
        &mut self,
        cap: u32,
        to: u32,
        answers: Option<u32>,
        along: (u32, Target),
    ) {
        for (conn, id, called) in self.take_expecting(cap) {
            if called && self.is_third(to, conn, answers) {
                let now = self.embargo(to, along.0, &along.1, VecDeque::new());
                let descriptor = self.export(now, conn);
                self.tell(conn, id, called, &descriptor, Some(now));
                continue;
            }
            let descriptor = self.describe(to, conn);
            // A call that crosses the Resolve must not come behind one that was sent after it.
            let moves =
                self.is_third(to, conn, answers) || matches!(descriptor, Descriptor::SenderPromise(_));
            let now = moves.then(|| self.retain_cap(self.follow(to)));
            self.tell(conn, id, called, &descriptor, now);
        }
    }

    /// Sends the Resolve of the export `id`. Takes the reference to `now`, where calls on it go from now on.
    fn tell(&mut self, conn: u32, id: u32, called: bool, descriptor: &Descriptor, now: Option<u32>) {
        match descriptor {
            // Calls that are still on their way along the old promise count for the new one.
            Descriptor::SenderPromise(new) if called => self.mark_called(conn, *new),
            _ => {}
        }
        let own = matches!(descriptor, Descriptor::ReceiverHosted(_) | Descriptor::ReceiverAnswer { .. });
        let export = self.conns.get_mut(conn as usize).and_then(|conn| conn.exports.get_mut(id as usize));
        match export {
            Some(export) => {
                export.told = if own { Told::Own } else { Told::Resolved };
                export.now = now;
            }
            None => self.dropped.extend(now),
        }
        self.send(conn, |out| build::resolve(out, id, descriptor));
    }

    pub(super) fn mark_called(&mut self, conn: u32, id: u32) {
        let export = self.conns.get_mut(conn as usize).and_then(|conn| conn.exports.get_mut(id as usize));
        if let Some(export) = export {
            export.called = true;
        }
    }

    /// Whether calls of `to` on `cap` take another way than those that it sent along a promise of `answers`: the
    /// capability lives on a third connection, or here.
    pub(super) fn is_third(&self, cap: u32, to: u32, answers: Option<u32>) -> bool {
        match self.caps.get(self.follow(cap) as usize).map(|cap| &cap.home) {
            Some(Home::Import { conn, .. }) => *conn != to && Some(*conn) != answers,
            Some(Home::Answer(of)) => of.conn != to && Some(of.conn) != answers,
            Some(Home::Object(_) | Home::Promise(_)) => true,
            Some(Home::Alias(_) | Home::Broken(_)) | None => false,
        }
    }

    /// A promise (with a reference) on which calls wait until a Disembargo has gone along `target` on the
    /// connection `along` and come back, and then by each of the ways `then`, whose references it takes. It becomes
    /// `cap`.
    pub(super) fn embargo(&mut self, cap: u32, along: u32, target: &Target, then: VecDeque<u32>) -> u32 {
        let known = self.retain_cap(self.follow(cap));
        let promise = Promise { known: Some(known), queue: Default::default() };
        let promise = self.new_cap(Home::Promise(Box::new(promise)));
        let kept = self.retain_cap(promise);
        match self.conns.get_mut(along as usize).filter(|peer| !peer.ended) {
            Some(peer) => {
                let id = peer.embargoes.insert(Embargo::Switch { promise, then }) as u32;
                self.send(along, |out| build::disembargo(out, target, false, id));
            }
            None => self.came_back(promise, then),
        }
        kept
    }

    /// The capabilities whose home is a question, with their paths.
    pub(super) fn derived_promises(&mut self, conn: u32, id: u32) -> Vec<(u32, Transform)> {
        let question = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id));
        let derived = question.map(|question| question.derived.to_vec()).unwrap_or_default();
        let path = |cap: u32| match self.caps.get(cap as usize).map(|cap| &cap.home) {
            Some(Home::Answer(of)) => Some((cap, of.path.clone())),
            _ => None,
        };
        derived.into_iter().filter_map(path).collect()
    }

    /// A question was answered: promises that were made of its capabilities resolve. Calls on them still go
    /// along the question, which stays open until they are released.
    pub(super) fn settle_derived(
        &mut self,
        conn: u32,
        id: u32,
        frame: &mut Frame,
        outcome: &Outcome,
        caps: &CapList,
    ) {
        let derived = self.derived_promises(conn, id);
        if derived.is_empty() {
            return;
        }
        for (cap, path) in derived {
            let to = match outcome {
                Outcome::Results(payload) => payload.capability(frame, &path),
                Outcome::TakeFromOtherQuestion(_) => continue,
                _ => None,
            };
            let answers = match (outcome, to) {
                (Outcome::Results(payload), Some(index)) => {
                    (!leads_back(payload, frame, index)).then_some(conn)
                }
                _ => None,
            };
            match to.and_then(|index| caps.get(index as usize).copied().flatten()) {
                Some(to) if self.follow(to) != cap => {
                    let along = (conn, Target::Answer { question: id, path });
                    self.resolve_exports_along(cap, to, answers, along);
                }
                _ => {
                    let reason = match outcome {
                        Outcome::Exception => Arc::new(exception::read(frame.bytes())),
                        _ => self.null_cap.clone(),
                    };
                    self.resolve_exports(cap, &Err(reason));
                }
            }
        }
    }

    /// The question will never carry a call again: what was to come of its answer is broken.
    pub(super) fn break_derived(&mut self, conn: u32, id: u32, reason: &Arc<Exception>) {
        for (cap, _) in self.derived_promises(conn, id) {
            if let Some(cap) = self.caps.get_mut(cap as usize) {
                cap.home = Home::Broken(reason.clone());
            }
            self.resolve_exports(cap, &Err(reason.clone()));
        }
        if let Some(question) = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id)) {
            question.derived.clear();
        }
    }
}
