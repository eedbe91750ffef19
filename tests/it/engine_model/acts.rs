//! What the code of the simulated peers does.

use super::model::{Given, Logical, Meaning};
use super::world::{World, pick};
use crate::support::peer::wire::{Body, Thrown};
use crate::support::peer::{Cap, Node, Outgoing};

impl World {
    /// Up to three capabilities of a peer: of what it holds, or new objects. They are for the results `of` a call.
    pub(super) fn some_caps(
        &mut self,
        index: usize,
        choice: u16,
        of: Option<u64>,
    ) -> (Vec<Option<Cap>>, Vec<Logical>) {
        let (mut caps, mut logicals) = (Vec::new(), Vec::new());
        for n in 0..choice % 4 {
            let side = &mut self.sides[index];
            let choice = choice / 4 + n * 7;
            let known = |at: &usize| {
                !choice.is_multiple_of(3) && !self.model.hangs_on(side.held[*at].logical, None, of)
            };
            match pick(&side.held, choice).filter(known) {
                Some(at) => {
                    caps.push(Some(side.held[at].cap.clone()));
                    logicals.push(side.held[at].logical);
                }
                None => {
                    caps.push(Some(side.peer.object(side.objects)));
                    logicals.push(self.model.mean(Meaning::Object(index as u64, side.objects)));
                    side.objects += 1;
                }
            }
        }
        (caps, logicals)
    }

    pub(super) fn call(&mut self, index: usize, whom: u16, what: u16) {
        let Some(at) = pick(&self.sides[index].held, whom) else { return };
        let (caps, logicals) = self.some_caps(index, what / 8, None);
        let only_pipeline = what % 16 == 3;
        let side = &mut self.sides[index];
        let held = &mut side.held[at];
        held.calls += 1;
        let uid = self.model.call(index as u64, held.logical, held.lineage, held.calls, only_pipeline);
        let mut words = vec![held.lineage, held.calls, held.logical];
        words.extend(logicals);
        let body = Body { uid, words, is_cap: false };
        side.peer.call(&held.cap.clone(), Outgoing { body, caps, only_pipeline });
    }

    pub(super) fn pipeline(&mut self, index: usize, whom: u16, what: u16) {
        let open = self.sides[index].peer.open();
        let Some(uid) = pick(&open, whom).map(|at| open[at]).filter(|uid| *uid != u64::MAX) else { return };
        let result = what % 3;
        let Some(cap) = self.sides[index].peer.pipeline(uid, &[1 + result]) else { return };
        let logical = self.model.mean(Meaning::Result(uid, usize::from(result)));
        self.hold(index, cap, logical);
        let last = self.sides[index].held.len() as u16 - 1;
        self.call(index, last, what / 3);
    }

    pub(super) fn complete(&mut self, index: usize, whom: u16, what: u16) {
        let side = &mut self.sides[index];
        let invocations: Vec<u64> = side.peer.invocations.keys().copied().collect();
        let Some(at) = pick(&invocations, whom) else { return };
        let invocation = invocations[at];
        let uid = side.peer.invocations[&invocation].uid;
        if what % 8 == 7 {
            let details = uid.to_le_bytes().to_vec();
            self.model.give(uid, Given::Thrown(details.clone()));
            let thrown = Thrown { reason: "thrown".to_owned(), details };
            return self.sides[index].peer.complete(invocation, Err(thrown));
        }
        let (caps, logicals) = self.some_caps(index, what / 8, Some(uid));
        self.model.give(uid, Given::Results(logicals.clone()));
        let body = Body { uid: uid + 1, words: logicals, is_cap: false };
        self.sides[index].peer.complete(invocation, Ok((body, caps)));
    }

    pub(super) fn new_promise(&mut self, index: usize) {
        let (cap, logical) = (Node::promise(), self.model.mean(Meaning::Promise(None)));
        self.sides[index].promises.push((cap.clone(), logical));
        self.hold(index, cap, logical);
    }

    pub(super) fn resolve(&mut self, index: usize, which: u16, to: u16) {
        let Some(at) = pick(&self.sides[index].promises, which) else { return };
        let (promise, logical) = self.sides[index].promises.swap_remove(at);
        let held = &self.sides[index].held;
        let can = |at: &usize| {
            !to.is_multiple_of(8) && !self.model.hangs_on(held[*at].logical, Some(logical), None)
        };
        let target = pick(held, to / 8).filter(can);
        let (cap, to) = match target {
            Some(at) => {
                let held = &self.sides[index].held[at];
                (held.cap.clone(), Some(held.logical))
            }
            None => (Node::broken("refused"), None),
        };
        self.model.meanings[logical as usize] = Meaning::Promise(Some(to));
        self.sides[index].peer.resolve(&promise, &cap);
    }

    pub(super) fn drop_cap(&mut self, index: usize, which: u16) {
        let Some(at) = pick(&self.sides[index].held, which) else { return };
        self.sides[index].held.swap_remove(at);
        self.sides[index].peer.settle();
    }

    pub(super) fn let_go(&mut self, index: usize, which: u16) {
        let open = self.sides[index].peer.open();
        let Some(uid) = pick(&open, which).map(|at| open[at]).filter(|uid| *uid != u64::MAX) else { return };
        let call = &mut self.model.calls[uid as usize];
        call.let_go |= call.answered == 0;
        self.sides[index].peer.let_go(uid);
    }
}
