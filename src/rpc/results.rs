//! Capabilities in an answer: how its asker gets to know them, and which of them have to wait.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::call::exported;
use super::engine::{Engine, Event, Incoming};
use super::returning::Called;
use super::tables::*;
use crate::wire::exception;
use crate::wire::frame::{Frame, Paths};
use crate::wire::message::{Descriptor, Outcome, Payload, Target, Transform};

impl Engine {
    /// The capability table of results, as their asker has to see it. A capability that lives neither with the
    /// peer that answers nor with the asker is reached faster than the calls that went along the answer: it
    /// is put under an embargo. Calls along the answer that cross its Return go the way of those after it.
    pub(super) fn describe_results(
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
            answer.own = own;
        }
        self.lead_along(asker, led);
        descriptors
    }

    /// From now on calls along an answer go there. Takes the references.
    fn lead_along(&mut self, asker: Asker, led: Vec<(Transform, u32)>) {
        let before = match self.answer(asker) {
            Some(answer) => std::mem::replace(&mut answer.led, led),
            None => led,
        };
        before.into_iter().for_each(|(_, cap)| self.release_cap(cap));
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
    pub(super) fn return_to_host(
        &mut self,
        id: u32,
        from: Option<(u32, u32)>,
        called: &Called,
        frame: &mut Frame,
        outcome: &Outcome,
        mut caps: CapList,
    ) {
        if let Outcome::Results(payload) = outcome
            && caps.iter().any(Option::is_some)
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
    /// anywhere its earlier calls have got to yet. Calls along the answer that the host makes from now on go there too.
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
        let mut third = Vec::new();
        for (path, index) in payload.capabilities(frame) {
            let Some(Some(slot)) = caps.get_mut(index as usize) else { continue };
            let back = leads_back(payload, frame, index);
            if !self.is_third(*slot, HOST, answers.filter(|_| !back)) {
                continue;
            }
            if called.contains(&path) {
                let target = Target::Answer { question, path: path.clone() };
                let then = self.further_ways(asker, from.filter(|_| back), &path);
                let embargo = self.embargo(*slot, conn, &target, then);
                self.release_cap(std::mem::replace(slot, embargo));
            }
            third.push((path, index));
        }
        let now = |(path, index): (Transform, u32)| {
            let cap = caps.get(index as usize).copied().flatten()?;
            Some((path, self.retain_cap(cap)))
        };
        let led = third.into_iter().filter_map(now).collect();
        self.lead_along(asker, led);
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
