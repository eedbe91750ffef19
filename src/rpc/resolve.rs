//! Resolve: what promises became, and the embargoes that keep the order of calls across that.

use std::sync::Arc;

use super::engine::{Engine, Fault};
use super::tables::*;
use crate::wire::build;
use crate::wire::exception::{self, Exception};
use crate::wire::frame::{Frame, Struct};
use crate::wire::message::{Descriptor, Outcome, Resolve, Target, Transform};

impl Engine {
    pub(super) fn on_resolve(&mut self, conn: u32, mut frame: Frame, body: Struct) -> Result<(), Fault> {
        let resolve = Resolve::parse(&mut frame, body)?;
        frame.check_disjoint()?;
        let id = resolve.promise;
        let becomes = match resolve.cap {
            Some(descriptor) => {
                let cap = self.intake_one(conn, descriptor)?;
                Some(cap.ok_or(Fault::Protocol("a promise resolved to no capability"))?)
            }
            None => None,
        };
        let import = self.conns.get_mut(conn as usize).and_then(|conn| conn.imports.get_mut(&id));
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
                self.resolve_exports_along(promise, cap, Some(conn), (conn, Target::Import(id)));
                self.dropped.push(cap);
            }
            None => {
                let mut bytes = Vec::new();
                frame.write(&mut bytes);
                let reason = Arc::new(exception::read(&bytes));
                self.resolve_exports(promise, &Err(reason));
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
                && export.promise
            {
                export.promise = false;
                expecting.push((conn, id, export.called));
            }
        }
        expecting
    }

    /// Tells those who hold `cap` as a promise what it became, where calls did not go along any peer.
    pub(super) fn resolve_exports(&mut self, cap: u32, to: &Result<u32, Arc<Exception>>) {
        for (conn, id, _) in self.take_expecting(cap) {
            match to {
                Ok(to) => {
                    let descriptor = self.describe(*to, conn);
                    self.send(conn, |out| build::resolve(out, id, &descriptor));
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
            let descriptor = match called {
                true => self.describe_after(to, conn, along.0, answers, along.1.clone()),
                false => self.describe(to, conn),
            };
            self.send(conn, |out| build::resolve(out, id, &descriptor));
        }
    }

    /// As [`Engine::describe`], for a capability that takes the place of `target` on the connection `along`, on
    /// which calls of `to` went. If it lives on a third connection or here, later calls could overtake those:
    /// `to` gets a promise on which calls wait until a Disembargo has gone along and come back.
    pub(super) fn describe_after(
        &mut self,
        cap: u32,
        to: u32,
        along: u32,
        answers: Option<u32>,
        target: Target,
    ) -> Descriptor {
        let index = self.follow(cap);
        let third = match self.caps.get(index as usize).map(|cap| &cap.home) {
            Some(Home::Import { conn, .. } | Home::Answer { conn, .. }) => {
                *conn != to && Some(*conn) != answers
            }
            Some(Home::Object(_) | Home::Promise(_)) => true,
            _ => false,
        };
        if !third {
            return self.describe(cap, to);
        }
        let known = self.retain_cap(index);
        let promise = Promise { known: Some(known), queue: Default::default() };
        let promise = self.new_cap(Home::Promise(Box::new(promise)));
        let Some(peer) = self.conns.get_mut(along as usize) else {
            self.release_cap(promise);
            return self.describe(cap, to);
        };
        let id = peer.embargoes.insert(Embargo::Switch { promise }) as u32;
        self.send(along, |out| build::disembargo(out, &target, false, id));
        self.export(promise, to)
    }

    /// The capabilities whose home is a question, with their paths.
    pub(super) fn derived_promises(&mut self, conn: u32, id: u32) -> Vec<(u32, Transform)> {
        let question = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id));
        let derived = question.map(|question| question.derived.to_vec()).unwrap_or_default();
        let path = |cap: u32| match self.caps.get(cap as usize).map(|cap| &cap.home) {
            Some(Home::Answer { path, .. }) => Some((cap, path.clone())),
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
            match to.and_then(|index| caps.get(index as usize).copied().flatten()) {
                Some(to) if self.follow(to) != cap => {
                    let along = (conn, Target::Answer { question: id, path });
                    self.resolve_exports_along(cap, to, Some(conn), along);
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
