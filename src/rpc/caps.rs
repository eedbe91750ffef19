//! Where capabilities live, how they are counted, and what they are called on each connection.

use std::sync::Arc;

use super::engine::{Engine, Event, Fault};
use super::tables::*;
use crate::wire::build;
use crate::wire::exception::{Exception, Kind};
use crate::wire::frame::Frame;
use crate::wire::message::{Descriptor, NO_EARLY_CANCELLATION_WORKAROUND, Payload, Target};

/// Most promises that are followed in a row for one call.
const MAX_LED: usize = 64;

impl Engine {
    /// A new capability with one reference, the caller's.
    pub(super) fn new_cap(&mut self, home: Home) -> u32 {
        self.caps.insert(Cap { refs: 1, home, exports: Default::default() }) as u32
    }

    pub(super) fn retain_cap(&mut self, cap: u32) -> u32 {
        if let Some(cap) = self.caps.get_mut(cap as usize) {
            cap.refs += 1;
        }
        cap
    }

    /// Gives one reference back. With the last, the home is told.
    pub(super) fn release_cap(&mut self, index: u32) {
        let Some(cap) = self.caps.get_mut(index as usize) else { return };
        cap.refs -= 1;
        if cap.refs > 0 {
            return;
        }
        match self.caps.remove(index as usize).home {
            Home::Import { conn, id } => {
                let import = self.conns.get_mut(conn as usize).and_then(|conn| conn.imports.remove(&id));
                if let Some(import) = import
                    && import.count > 0
                {
                    self.send(conn, |out| build::release(out, id, import.count));
                }
            }
            Home::Answer(of) => {
                let Derived { conn, question, at, .. } = *of;
                if let Some(from) = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(question))
                {
                    from.derived.swap_remove(at as usize);
                    let moved = from.derived.get(at as usize).copied();
                    if let Some(Cap { home: Home::Answer(moved), .. }) =
                        moved.and_then(|cap| self.caps.get_mut(cap as usize))
                    {
                        moved.at = at;
                    }
                    self.maybe_finish(conn, question);
                }
            }
            Home::Object(object) => self.events.push_back(Event::ObjectDropped { object }),
            Home::Promise(promise) => self.dropped.extend(promise.known),
            Home::Alias(target) => self.dropped.push(target),
            Home::Broken(_) => {}
        }
    }

    pub(super) fn release_caps(&mut self, caps: CapList) {
        for cap in caps.into_iter().flatten() {
            self.release_cap(cap);
        }
    }

    /// What a capability is now: promises of ours that were resolved are followed.
    pub(super) fn follow(&self, mut index: u32) -> u32 {
        while let Some(Cap { home: Home::Alias(target), .. }) = self.caps.get(index as usize) {
            index = *target;
        }
        index
    }

    /// As [`Engine::follow`], through embargoes too: a capability under embargo may travel as what it will be,
    /// since the embargo orders only one peer's calls.
    fn follow_known(&self, index: u32) -> u32 {
        let mut index = self.follow(index);
        while let Some(Cap { home: Home::Promise(promise), .. }) = self.caps.get(index as usize) {
            match promise.known {
                Some(known) => index = self.follow(known),
                None => break,
            }
        }
        index
    }

    /// Takes the capabilities of a message in: a reference to each, and the peer's descriptors are counted.
    pub(super) fn intake(
        &mut self,
        conn: u32,
        frame: &mut Frame,
        payload: &Payload,
    ) -> Result<CapList, Fault> {
        let mut caps = CapList::new();
        for index in 0..payload.len() {
            let cap = match payload.descriptor(frame, index) {
                Ok(descriptor) => self.intake_one(conn, descriptor),
                Err(error) => Err(error.into()),
            };
            match cap {
                Ok(cap) => caps.push(cap),
                Err(fault) => {
                    self.release_caps(caps);
                    return Err(fault);
                }
            }
        }
        Ok(caps)
    }

    pub(super) fn intake_one(&mut self, conn: u32, descriptor: Descriptor) -> Result<Option<u32>, Fault> {
        Ok(Some(match descriptor {
            Descriptor::None => return Ok(None),
            Descriptor::SenderHosted(id) => self.import(conn, id, false)?,
            Descriptor::SenderPromise(id) => self.import(conn, id, true)?,
            Descriptor::ReceiverHosted(id) => {
                let export = self.conns.get(conn as usize).and_then(|conn| conn.exports.get(id as usize));
                let cap = export.ok_or(Fault::Protocol("a descriptor names no export of ours"))?.cap;
                self.retain_cap(cap)
            }
            Descriptor::ReceiverAnswer { question, path } => {
                let target = Target::Answer { question, path };
                match self.dest(conn, &target)? {
                    Dest::Remote { conn, target: Target::Import(id) } => {
                        let import = self.conns.get(conn as usize).and_then(|conn| conn.imports.get(&id));
                        match import.map(|import| import.cap) {
                            Some(cap) => self.retain_cap(cap),
                            None => self.broken("The capability is gone."),
                        }
                    }
                    Dest::Remote { conn, target: Target::Answer { question, path } } => {
                        self.derive(conn, question, path)
                    }
                    Dest::Object(cap) | Dest::Promise(cap) => self.retain_cap(cap),
                    Dest::Held(key) => {
                        let Target::Answer { question, path } = target else { return Ok(None) };
                        self.derive_held(key, conn, question, path)?
                    }
                    Dest::Broken(reason) => self.new_cap(Home::Broken(reason)),
                }
            }
        }))
    }

    /// Capabilities of `conn` that an answer, or what a promise became, has brought: calls on them come of `origin`.
    pub(super) fn note_origins(&mut self, conn: u32, caps: &[Option<u32>], origin: u64) {
        if origin == 0 {
            return;
        }
        for cap in caps.iter().flatten() {
            let Some(Cap { home: Home::Import { conn: home, id }, .. }) = self.caps.get(*cap as usize) else {
                continue;
            };
            if *home == conn
                && let Some(import) =
                    self.conns.get_mut(conn as usize).and_then(|conn| conn.imports.get_mut(id))
                && import.origin == 0
            {
                import.origin = origin;
            }
        }
    }

    pub(super) fn broken(&mut self, why: &str) -> u32 {
        self.new_cap(Home::Broken(Arc::new(Exception::new(Kind::Failed, why))))
    }

    fn import(&mut self, conn: u32, id: u32, promise: bool) -> Result<u32, Fault> {
        let max = self.limits.imports;
        let Some(from) = self.conns.get_mut(conn as usize) else {
            return Err(Fault::Protocol("the connection has ended"));
        };
        if let Some(import) = from.imports.get_mut(&id) {
            import.count =
                import.count.checked_add(1).ok_or(Fault::Protocol("a capability was sent 2^32 times"))?;
            let cap = import.cap;
            return Ok(self.retain_cap(cap));
        }
        if from.imports.len() >= max {
            return Err(Fault::Limit { what: "capabilities exported to us", max });
        }
        let cap =
            self.caps.insert(Cap { refs: 1, home: Home::Import { conn, id }, exports: Default::default() })
                as u32;
        from.imports.insert(id, Import { cap, count: 1, promise, origin: 0 });
        Ok(cap)
    }

    /// A capability in the answer to a question of ours that is not finished yet.
    pub(super) fn derive(&mut self, conn: u32, question: u32, path: crate::wire::message::Transform) -> u32 {
        let next = self.caps.vacant_key() as u32;
        let Some(from) = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(question)) else {
            return self.broken("The question is not open.");
        };
        let at = from.derived.len() as u32;
        from.derived.push(next);
        self.new_cap(Home::Answer(Box::new(Derived { conn, question, path, at })))
    }

    /// Names `cap` in a message to `to`, counting the descriptor if it is an export of ours.
    pub(super) fn describe(&mut self, cap: u32, to: u32) -> Descriptor {
        let index = self.follow_known(cap);
        match self.caps.get(index as usize).map(|cap| &cap.home) {
            None => return Descriptor::None,
            Some(Home::Import { conn, id }) if *conn == to => return Descriptor::ReceiverHosted(*id),
            Some(Home::Answer(of)) if of.conn == to => {
                return Descriptor::ReceiverAnswer { question: of.question, path: of.path.clone() };
            }
            Some(_) => {}
        }
        self.export(index, to)
    }

    /// Names `cap` in a message to `to` as an export of ours, whatever its home.
    pub(super) fn export(&mut self, index: u32, to: u32) -> Descriptor {
        let unresolved = self.is_promise(index);
        let Some(cap) = self.caps.get_mut(index as usize) else { return Descriptor::None };
        let Some(conn) = self.conns.get_mut(to as usize) else { return Descriptor::None };
        let ids = cap.exports.iter().filter(|(conn, _)| *conn == to);
        let known = ids.map(|(_, id)| *id).find(|id| {
            let export = conn.exports.get(*id as usize);
            export.is_some_and(|export| matches!(export.told, Told::Settled | Told::Promise))
        });
        let (id, told) = match known {
            Some(id) => match conn.exports.get_mut(id as usize) {
                Some(export) => {
                    export.count += 1;
                    (id, export.told)
                }
                None => return Descriptor::None,
            },
            None => {
                cap.refs += 1;
                let told = if unresolved { Told::Promise } else { Told::Settled };
                let export = Export { cap: index, count: 1, told, called: false, now: None };
                let id = conn.exports.insert(export) as u32;
                cap.exports.push((to, id));
                if conn.exports.len() > self.limits.exports {
                    self.overflow = Some(to);
                }
                (id, told)
            }
        };
        if told == Told::Promise { Descriptor::SenderPromise(id) } else { Descriptor::SenderHosted(id) }
    }

    /// What calls of `conn` on `cap` have to reach now, if `conn` was told that a promise on the way became
    /// something else: what it was told, so that they stay behind and before its other calls there.
    pub(super) fn led(&self, conn: u32, cap: u32) -> u32 {
        let mut index = self.follow(cap);
        // Two peers may resolve their promises to each other's; nobody resolves more of them in a row than this.
        for _ in 0..MAX_LED {
            let Some(cap) = self.caps.get(index as usize) else { break };
            let exports = self.conns.get(conn as usize).map(|conn| &conn.exports);
            let now = cap.exports.iter().filter(|(to, _)| *to == conn).find_map(|(_, id)| {
                exports.and_then(|exports| exports.get(*id as usize)).and_then(|export| export.now)
            });
            match now {
                Some(now) => index = self.follow(now),
                None => break,
            }
        }
        index
    }

    /// Whether a Resolve for `cap` is still to come from its home.
    fn is_promise(&self, index: u32) -> bool {
        match self.caps.get(index as usize).map(|cap| &cap.home) {
            Some(Home::Import { conn, id }) => {
                let import = self.conns.get(*conn as usize).and_then(|conn| conn.imports.get(id));
                import.is_some_and(|import| import.promise)
            }
            Some(Home::Answer(of)) => self
                .conns
                .get(of.conn as usize)
                .and_then(|conn| {
                    if of.question >= HIGH {
                        conn.high.get(&of.question)
                    } else {
                        conn.questions.get(of.question as usize)
                    }
                })
                // No Return comes for a pipeline-only call, and so nothing would ever resolve it.
                .is_some_and(|question| !question.returned && !question.only_promise_pipeline),
            Some(Home::Promise(_)) => true,
            _ => false,
        }
    }

    /// The peer releases `count` references to what we exported under `id`.
    pub(super) fn release_export(&mut self, conn: u32, id: u32, count: u32) -> Result<(), Fault> {
        let from = self.conns.get_mut(conn as usize).ok_or(Fault::Protocol("the connection has ended"))?;
        let export =
            from.exports.get_mut(id as usize).ok_or(Fault::Protocol("a Release names no export of ours"))?;
        export.count = export
            .count
            .checked_sub(count)
            .ok_or(Fault::Protocol("a Release takes more references than were sent"))?;
        if export.count == 0 {
            let export = from.exports.remove(id as usize);
            if let Some(cap) = self.caps.get_mut(export.cap as usize) {
                cap.exports.retain(|at| *at != (conn, id));
            }
            if let Some(now) = export.now {
                self.release_cap(now);
            }
            self.release_cap(export.cap);
        }
        Ok(())
    }

    /// Sends the Finish of a question that nobody needs any more, and frees its id if it was returned.
    pub(super) fn maybe_finish(&mut self, conn: u32, id: u32) {
        let Some(question) = self.conns.get_mut(conn as usize).and_then(|conn| conn.question(id)) else {
            return;
        };
        if question.asker.is_some() || !question.also.is_empty() || !question.derived.is_empty() {
            return;
        }
        let (returned, forgotten) = (question.returned, question.forgotten);
        if !question.finished && !forgotten {
            question.finished = true;
            // Before the Return, the peer releases what it would bring; after it, we have counted it ourselves.
            let keep = if returned { crate::wire::message::KEEP_RESULT_CAPS } else { 0 };
            let flags = question.finish_flags & NO_EARLY_CANCELLATION_WORKAROUND | keep;
            self.send(conn, |out| build::finish(out, id, flags));
        }
        let Some(from) = self.conns.get_mut(conn as usize) else { return };
        let only_pipeline = from.question(id).is_some_and(|question| question.only_promise_pipeline);
        if returned || forgotten || only_pipeline {
            from.remove_question(id);
        }
    }
}
