//! What a simulated peer does with what the switch sends it.

use std::rc::Rc;

use super::node::*;
use super::wire::{Body, Call, Desc, Msg, Outcome, Target, Thrown, decode};
use super::{Heard, Peer, lowest};

impl Peer {
    /// Takes one frame.
    pub fn receive(&mut self, frame: &[u8]) {
        match decode(frame) {
            Msg::Bootstrap(question) => {
                let body = Body { is_cap: true, ..Body::default() };
                let slot = self.new_answer(question, false);
                let object = self
                    .exports
                    .values()
                    .map(|export| export.target.clone())
                    .find(|cap| matches!(*cap.state.borrow(), State::Object(0)));
                let object = object.unwrap_or_else(|| self.object(0));
                self.answer(&slot, Ok((body, vec![Some(object)])), Vec::new());
            }
            Msg::Call(call) => self.on_call(call),
            Msg::Return { answer, release_params, no_finish, outcome } => {
                self.on_return(answer, release_params, no_finish, outcome);
            }
            Msg::Finish { question, release_results } => self.on_finish(question, release_results),
            Msg::Resolve { promise, to } => self.on_resolve(promise, to),
            Msg::Release { id, count } => self.release_export(id, count),
            Msg::Disembargo { target, receiver: false, id } => {
                let cap = self.target(&target);
                self.dispatch(&cap, Waiting::Disembargo(id));
            }
            Msg::Disembargo { receiver: true, id, .. } => {
                let Some((node, to)) = self.embargoes.remove(&id) else {
                    self.wrong("a Disembargo came back that was not sent")
                };
                self.resolve(&node, &to);
            }
            Msg::Abort(reason) => self.wrong(&format!("aborted: {reason}")),
            Msg::Unimplemented => self.wrong("a message came back as unimplemented"),
        }
        self.settle();
    }

    pub(super) fn new_answer(&mut self, question: u32, only_pipeline: bool) -> Rc<Slot> {
        let slot = Rc::new(Slot::default());
        slot.answer.set(Some(question));
        let answer = Answer {
            slot: slot.clone(),
            invocation: None,
            returned: false,
            only_pipeline,
            results: None,
            result_exports: Vec::new(),
            tail: None,
        };
        if self.answers.insert(question, answer).is_some() {
            self.wrong("a question id is in use already");
        }
        self.vanished.remove(&question);
        slot
    }

    pub(super) fn on_call(&mut self, call: Call) {
        if call.yourself {
            self.wrong("the switch keeps its answers to itself");
        }
        if call.only_pipeline != (call.question >= 1 << 31) {
            self.wrong("the top bit of a question id marks the calls that want no Return");
        }
        let target = self.target(&call.target);
        let (caps, param_ids) = self.intake_all(&call.caps);
        let slot = self.new_answer(call.question, call.only_pipeline);
        let only_pipeline = call.only_pipeline;
        let incoming = Incoming { body: call.body, caps, param_ids, slot, only_pipeline };
        self.dispatch(&target, Waiting::In(incoming));
    }

    /// What a message of the switch's is for.
    pub(super) fn target(&mut self, target: &Target) -> Cap {
        match target {
            Target::Import(id) => match self.exports.get(id) {
                Some(export) => export.target.clone(),
                None => self.wrong("a target is no export"),
            },
            Target::Answer(question, path) => {
                let Some(answer) = self.answers.get(question) else {
                    if !self.vanished.contains(question) {
                        self.wrong("a target is in an answer that is not known");
                    }
                    return Node::broken("the answer has gone");
                };
                if let Some(tail) = answer.tail.clone() {
                    return match answer.only_pipeline {
                        true => self.pipelined(&tail, path),
                        false => Node::new(State::Pipeline(tail, path.clone())),
                    };
                }
                if let Some((is_cap, results)) = &answer.results {
                    return at_path(*is_cap, results, path).cloned().unwrap_or_else(|| Node::broken("null"));
                }
                let mut nodes = answer.slot.nodes.borrow_mut();
                if let Some((_, node)) = nodes.iter().find(|(at, _)| at == path) {
                    return node.clone();
                }
                let node = Node::promise();
                nodes.push((path.clone(), node.clone()));
                node
            }
        }
    }

    pub(super) fn intake_all(&mut self, descs: &[Desc]) -> (Vec<Option<Cap>>, Vec<u32>) {
        let caps = descs.iter().map(|desc| self.intake(desc)).collect();
        let ids = descs.iter().filter_map(|desc| match desc {
            Desc::SenderHosted(id) | Desc::SenderPromise(id) => Some(*id),
            _ => None,
        });
        (caps, ids.collect())
    }

    pub(super) fn intake(&mut self, desc: &Desc) -> Option<Cap> {
        Some(match desc {
            Desc::None => return None,
            Desc::SenderHosted(id) => self.import(*id, false),
            Desc::SenderPromise(id) => self.import(*id, true),
            Desc::ReceiverHosted(id) => self.target(&Target::Import(*id)),
            Desc::ReceiverAnswer(question, path) => self.target(&Target::Answer(*question, path.clone())),
        })
    }

    pub(super) fn on_return(&mut self, id: u32, release_params: bool, no_finish: bool, outcome: Outcome) {
        let Some(question) = self.questions.get_mut(&id) else { self.wrong("a Return answers no question") };
        if question.returned || question.only_pipeline {
            self.wrong("a Return too many");
        }
        question.returned = true;
        let exports = std::mem::take(&mut question.param_exports);
        let pipelines = std::mem::take(&mut question.pipelines);
        let (uid, finished, tail) = (question.uid, question.finished, question.tail);
        if release_params {
            exports.into_iter().for_each(|export| self.release_export(export, 1));
        }
        if finished {
            // Its capabilities were released by the Finish.
            self.questions.remove(&id);
            return;
        }
        // Its id is free only when nothing here names it any more.
        self.questions.get_mut(&id).unwrap().forgotten = no_finish;
        if tail != (outcome == Outcome::Elsewhere) {
            self.wrong(&format!("an outcome that was not asked for: {outcome:?}"));
        }
        let result = match outcome {
            Outcome::Elsewhere => return,
            Outcome::Canceled | Outcome::TakeFrom(_) => self.wrong("an outcome that was not asked for"),
            Outcome::Exception(thrown) => Err(thrown),
            Outcome::Results(body, descs) => {
                let (caps, _) = self.intake_all(&descs);
                for (path, node) in pipelines.iter() {
                    let Some(node) = node.upgrade() else { continue };
                    let index = match path[..] {
                        [] if body.is_cap => Some(0),
                        [field] if field > 0 && !body.is_cap => Some(usize::from(field) - 1),
                        _ => None,
                    };
                    let desc = index.and_then(|index| descs.get(index));
                    match index.and_then(|index| caps.get(index)).cloned().flatten() {
                        Some(cap) => self.become_known(&node, cap, desc.unwrap()),
                        None => drop(node.state.replace(State::Broken(Thrown::new("null")))),
                    }
                }
                Ok((body, caps))
            }
        };
        if let Err(thrown) = &result {
            for node in pipelines.iter().filter_map(|(_, node)| node.upgrade()) {
                drop(node.state.replace(State::Broken(thrown.clone())));
            }
        }
        if let Some(uid) = uid {
            self.heard.push(Heard::Answered { uid, result });
        }
    }

    /// A promise of the switch's is known. What is the peer's own is reached sooner than the calls that went along
    /// the promise, and so waits for a Disembargo.
    pub(super) fn become_known(&mut self, node: &Cap, cap: Cap, desc: &Desc) {
        let at = leaf(&cap);
        if Rc::ptr_eq(&at, node) {
            drop(node.state.replace(State::Broken(Thrown::new("a promise became itself"))));
            return;
        }
        let back = matches!(desc, Desc::ReceiverHosted(_) | Desc::ReceiverAnswer(..));
        let local = back || Self::target_of(&at).is_none();
        let Some(target) = Self::target_of(node) else { self.wrong("resolved twice") };
        if node.called.get() && local {
            let id = lowest(&self.embargoes);
            self.embargoes.insert(id, (node.clone(), cap));
            self.send(&super::wire::Msg::Disembargo { target, receiver: false, id });
            drop(node.state.replace(State::Promise(Default::default())));
        } else {
            at.called.set(at.called.get() || node.called.get());
            drop(node.state.replace(State::Resolved(cap)));
        }
    }

    pub(super) fn on_finish(&mut self, id: u32, release_results: bool) {
        let Some(answer) = self.answers.remove(&id) else {
            // It crossed a Return that wanted none.
            if !self.vanished.remove(&id) {
                self.wrong("a Finish for no question");
            }
            return;
        };
        if release_results {
            answer.result_exports.iter().for_each(|export| self.release_export(*export, 1));
        }
        if answer.returned {
            return;
        }
        answer.slot.answer.set(None);
        if !answer.only_pipeline {
            let outcome = Outcome::Canceled;
            self.send(&Msg::Return { answer: id, release_params: false, no_finish: false, outcome });
        }
        // Calls that were pipelined keep the work going, as in C++.
        if !answer.slot.is_wanted()
            && let Some(invocation) = answer.invocation
        {
            let uid = self.invocations.remove(&invocation).unwrap().uid;
            self.heard.push(Heard::Canceled { uid });
        }
    }

    pub(super) fn on_resolve(&mut self, id: u32, to: Result<Desc, Thrown>) {
        let node = self.imports.get_mut(&id).map(|import| {
            let promise = std::mem::take(&mut import.promise);
            (promise, import.node.upgrade())
        });
        if let Some((false, _)) = node {
            self.wrong("a Resolve for what is no promise");
        }
        let cap = to.as_ref().ok().map(|desc| self.intake(desc));
        let Some(node) = node.and_then(|(_, node)| node) else { return };
        match (cap, to) {
            (Some(Some(cap)), Ok(desc)) => self.become_known(&node, cap, &desc),
            (_, Err(thrown)) => drop(node.state.replace(State::Broken(thrown))),
            _ => self.wrong("a promise became no capability"),
        }
    }

    pub(super) fn release_export(&mut self, id: u32, count: u32) {
        let Some(export) = self.exports.get_mut(&id) else { self.wrong("a Release of no export") };
        if export.count < count {
            self.wrong("a Release of more than was sent");
        }
        export.count -= count;
        if export.count == 0 {
            self.exports.remove(&id);
        }
    }
}
