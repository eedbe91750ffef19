//! Calls on their way through a simulated peer, and their answers.

use std::rc::Rc;

use super::node::*;
use super::wire::{Body, Call, Msg, Outcome, Target, Thrown};
use super::{Heard, Peer};

impl Peer {
    /// Whom a message along `cap` is for, if `cap` is the switch's.
    pub(super) fn target_of(cap: &Cap) -> Option<Target> {
        match &*cap.state.borrow() {
            State::Import(import) => Some(Target::Import(import.id)),
            State::Pipeline(question, path) => Some(Target::Answer(question.id, path.clone())),
            _ => None,
        }
    }

    /// Brings a message to where `cap` is by now.
    pub(super) fn dispatch(&mut self, cap: &Cap, message: Waiting) {
        let at = leaf(cap);
        if let State::Promise(queue) = &mut *at.state.borrow_mut() {
            return queue.push_back(message);
        }
        if let Some(target) = Self::target_of(&at) {
            at.called.set(true);
            return match message {
                Waiting::Out(call) => self.send_call(target, call),
                Waiting::In(call) => self.pass_on(target, call),
                Waiting::Disembargo(id) => self.send(&Msg::Disembargo { target, receiver: true, id }),
            };
        }
        let thrown = match &*at.state.borrow() {
            State::Object(object) => Ok(*object),
            State::Broken(thrown) => Err(thrown.clone()),
            _ => unreachable!(),
        };
        match (thrown, message) {
            (Ok(object), Waiting::In(call)) => self.deliver(object, call),
            (Ok(object), Waiting::Out(call)) => {
                let uid = call.body.uid;
                let (body, caps) = (call.body, call.caps);
                self.heard.push(Heard::Delivered { object, body, caps, invocation: None });
                self.heard.push(Heard::Answered { uid, result: Ok(Default::default()) });
            }
            (Err(thrown), Waiting::In(call)) => {
                drop(call.caps);
                self.answer(&call.slot, Err(thrown), call.param_ids);
            }
            (Err(thrown), Waiting::Out(call)) => {
                self.heard.push(Heard::Answered { uid: call.body.uid, result: Err(thrown) });
            }
            (_, Waiting::Disembargo(_)) => self.wrong("a Disembargo for what does not lead back"),
        }
    }

    pub(super) fn send_call(&mut self, target: Target, call: Outgoing) {
        let uid = call.body.uid;
        let question = self.ask(Some(uid), call.only_pipeline, false);
        self.write_call(&question, target, call.body, &call.caps, false, call.only_pipeline);
        // Nobody waits for it any more if its code let go of it while it was held here.
        if let Some(open) = self.open.get_mut(&uid) {
            *open = Some(question);
        }
    }

    pub(super) fn write_call(
        &mut self,
        question: &QuestionRef,
        target: Target,
        body: Body,
        caps: &[Option<Cap>],
        yourself: bool,
        only_pipeline: bool,
    ) {
        let (caps, _, exports) = self.describe_all(caps);
        self.questions.get_mut(&question.id).unwrap().param_exports = exports;
        let question = question.id;
        self.send(&Msg::Call(Call { question, target, body, caps, yourself, only_pipeline }));
    }

    /// A call for what is the switch's by now goes back to it; its answer too, without passing here.
    pub(super) fn pass_on(&mut self, target: Target, call: Incoming) {
        if !call.slot.is_wanted() {
            return;
        }
        let answer = call.slot.answer.get();
        let yourself = answer.is_some() && !call.only_pipeline;
        let question = self.ask(None, call.only_pipeline, yourself);
        self.write_call(&question, target, call.body, &call.caps, yourself, call.only_pipeline);
        if let Some(answer) = answer {
            if yourself {
                let outcome = Outcome::TakeFrom(question.id);
                self.send(&Msg::Return { answer, release_params: false, no_finish: false, outcome });
            }
            let entry = self.answers.get_mut(&answer).unwrap();
            entry.returned = true;
            entry.tail = Some(question.clone());
        }
        let nodes = std::mem::take(&mut *call.slot.nodes.borrow_mut());
        for (path, node) in nodes {
            let inner = if yourself {
                Node::new(State::Pipeline(question.clone(), path))
            } else {
                self.pipelined(&question, &path)
            };
            self.resolve(&node, &inner);
        }
    }

    pub(super) fn deliver(&mut self, object: u64, call: Incoming) {
        if !call.slot.is_wanted() {
            return;
        }
        self.serial += 1;
        let invocation = self.serial;
        if let Some(answer) = call.slot.answer.get() {
            self.answers.get_mut(&answer).unwrap().invocation = Some(invocation);
        }
        let (uid, caps) = (call.body.uid, call.caps.clone());
        let entry = Invocation { uid, caps: call.caps, param_ids: call.param_ids, slot: call.slot };
        self.invocations.insert(invocation, entry);
        self.heard.push(Heard::Delivered { object, body: call.body, caps, invocation: Some(invocation) });
    }

    /// Answers a call that one of the objects works on.
    pub fn complete(&mut self, invocation: u64, result: Result<(Body, Vec<Option<Cap>>), Thrown>) {
        let Some(done) = self.invocations.remove(&invocation) else { return };
        drop(done.caps);
        self.answer(&done.slot, result, done.param_ids);
        self.settle();
    }

    pub(super) fn answer(
        &mut self,
        slot: &Rc<Slot>,
        result: Result<(Body, Vec<Option<Cap>>), Thrown>,
        param_ids: Vec<u32>,
    ) {
        let entry = slot.answer.take();
        if let Some(answer) = entry {
            self.serial += 1;
            let often = self.serial.is_multiple_of(2);
            let only_pipeline = self.answers.get(&answer).unwrap().only_pipeline;
            let (mut exports, mut pinned, mut no_finish) = (Vec::new(), Vec::new(), often);
            let outcome = match &result {
                Err(thrown) => Outcome::Exception(thrown.clone()),
                Ok((_, caps)) if only_pipeline => {
                    pinned = caps.clone();
                    Outcome::Canceled
                }
                Ok((body, caps)) => {
                    let (descs, targets, ids) = self.describe_all(caps);
                    (exports, pinned) = (ids, targets);
                    no_finish &= caps.is_empty();
                    Outcome::Results(body.clone(), descs)
                }
            };
            if only_pipeline {
                no_finish = false;
            } else {
                let release_params = often && self.release_params(param_ids);
                self.send(&Msg::Return { answer, release_params, no_finish, outcome });
            }
            if no_finish {
                self.answers.remove(&answer);
                self.vanished.insert(answer);
            } else {
                let is_cap = result.as_ref().is_ok_and(|(body, _)| body.is_cap);
                let entry = self.answers.get_mut(&answer).unwrap();
                (entry.returned, entry.invocation) = (true, None);
                entry.results = Some((is_cap, pinned));
                entry.result_exports = exports;
            }
        }
        let nodes = std::mem::take(&mut *slot.nodes.borrow_mut());
        for (path, node) in nodes {
            let to = match &result {
                Err(thrown) => Node::new(State::Broken(thrown.clone())),
                Ok((body, caps)) => {
                    at_path(body.is_cap, caps, &path).cloned().unwrap_or_else(|| Node::broken("null"))
                }
            };
            self.resolve(&node, &to);
        }
    }

    /// Whether a Return may release the capabilities of the parameters: if nothing of them was kept, or there are
    /// more references. The counts are then taken off.
    pub(super) fn release_params(&mut self, ids: Vec<u32>) -> bool {
        let count = |id: u32| ids.iter().filter(|other| **other == id).count() as u32;
        let can = |id: &u32| {
            self.imports.get(id).is_some_and(|import| {
                import.count > count(*id) || import.count == count(*id) && import.held.strong_count() == 0
            })
        };
        if !ids.iter().all(can) {
            return false;
        }
        for id in ids {
            let import = self.imports.get_mut(&id).unwrap();
            import.count -= 1;
            if import.count == 0 {
                self.imports.remove(&id);
            }
        }
        true
    }

    /// Settles a promise, one of the peer's own or one under embargo.
    pub fn resolve(&mut self, node: &Cap, to: &Cap) {
        let mut to = leaf(to);
        if Rc::ptr_eq(&to, node) {
            to = Node::broken("a promise became itself");
        }
        let before = node.state.replace(State::Resolved(to.clone()));
        let State::Promise(queue) = before else { panic!("only promises are resolved") };
        for message in queue {
            self.dispatch(node, message);
        }
        let owed = |export: &Export| export.promise && Rc::ptr_eq(&export.target, node);
        let ids: Vec<u32> = self.exports.iter().filter(|(_, e)| owed(e)).map(|(id, _)| *id).collect();
        for id in ids {
            let thrown = match &*to.state.borrow() {
                State::Broken(thrown) => Some(thrown.clone()),
                _ => None,
            };
            let (to, pinned) = match thrown {
                Some(thrown) => (Err(thrown), to.clone()),
                None => {
                    let (desc, pinned) = self.describe(&to);
                    (Ok(desc), pinned)
                }
            };
            let export = self.exports.get_mut(&id).unwrap();
            (export.target, export.promise) = (pinned, false);
            self.send(&Msg::Resolve { promise: id, to });
        }
        self.settle();
    }
}
