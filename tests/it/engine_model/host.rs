//! What the host does: it answers calls, sends them on, or makes them wait for a promise, and calls by itself.

use jackfield::rpc::{CallId, CapId, Event, Outgoing, QuestionId};
use jackfield::wire::build::Content;
use jackfield::wire::exception::{Exception, Kind};

use super::model::{Given, HOST, Logical, Meaning};
use super::world::{AtHost, World, pick};
use crate::support::peer::wire::{Msg, decode};

impl World {
    pub(super) fn host_events(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::Call { call, .. } => {
                    let Msg::Call(params) = decode(self.engine.params(call).unwrap()) else {
                        panic!("no Call")
                    };
                    let uid = params.body.uid;
                    self.model.delivered(uid, (HOST, 0), &params.body.words);
                    self.at_host.push(AtHost { call, uid, caps: params.body.words[3..].to_vec() });
                }
                Event::Canceled { call } => {
                    let at = self.at_host.iter().position(|pending| pending.call == call).unwrap();
                    let uid = self.at_host.swap_remove(at).uid;
                    self.model.give(uid, Given::Canceled);
                }
                Event::Return { question, result } => self.host_return(question, result.map(|r| r.caps)),
                Event::ObjectDropped { .. } => {}
                Event::Closed { reason, hostile, .. } => {
                    assert!(!hostile, "an honest peer was taken for a hostile one: {}", reason.reason);
                }
            }
        }
    }

    pub(super) fn host_return(
        &mut self,
        question: QuestionId,
        result: Result<Vec<Option<CapId>>, Exception>,
    ) {
        if let Some(at) = self.host_questions.iter().position(|(asked, _)| *asked == question) {
            let uid = self.host_questions.swap_remove(at).1;
            match &result {
                Ok(_) => {
                    let given = self.model.calls[uid as usize].given.clone();
                    let Some(Given::Results(given)) = given else { panic!("call {uid}: {given:?}") };
                    self.model.answered(uid, Ok(&given));
                }
                Err(reason) => {
                    let details = reason.details.first().map_or(&[][..], |(_, data)| data);
                    self.model.answered(uid, Err((&reason.reason, details)));
                }
            }
            self.engine.finish(question);
        }
        for cap in result.into_iter().flatten().flatten() {
            self.engine.release(cap);
        }
    }

    /// A capability for the host to hand out: a peer's main object, a parameter, or a promise.
    pub(super) fn host_cap(
        &mut self,
        call: CallId,
        uid: u64,
        caps: &[Logical],
        choice: u16,
    ) -> (CapId, Logical) {
        if choice.is_multiple_of(3)
            && let Some(at) = pick(caps, choice / 3)
            && !self.model.hangs_on(caps[at], None, Some(uid))
            && let Some(cap) = self.engine.param_cap(call, at as u32)
        {
            return (cap, caps[at]);
        }
        if choice % 3 == 1 {
            let (promise, cap) = self.engine.promise();
            let logical = self.model.mean(Meaning::Promise(None));
            self.host_promises.push((promise, logical));
            return (cap, logical);
        }
        let main = self.mains[pick(&self.mains, choice / 3).unwrap()].as_ref().unwrap();
        (self.engine.retain(&main.0), main.2)
    }

    pub(super) fn host_acts(&mut self, which: u16, what: u16) {
        let Some(at) = pick(&self.at_host, which) else { return };
        let AtHost { call, uid, caps } = self.at_host.swap_remove(at);
        match what % 4 {
            0 if what.is_multiple_of(16) => {
                let details = uid.to_le_bytes().to_vec();
                self.model.give(uid, Given::Thrown(details.clone()));
                let mut reason = Exception::new(Kind::Failed, "thrown");
                reason.details.push((0xd7, details));
                self.engine.fail(call, reason);
            }
            // A call is sent on once: the model knows of one other place.
            0..=1 if self.model.calls[uid as usize].forwarded.is_none() => {
                let (cap, logical) = self.host_cap(call, uid, &caps, what / 4);
                self.model.calls[uid as usize].forwarded = Some(logical);
                self.engine.forward(call, &cap);
                self.engine.release(cap);
            }
            _ => {
                let results: Vec<_> =
                    (0..what % 4).map(|n| self.host_cap(call, uid, &caps, what / 4 + n)).collect();
                let (caps, logicals): (Vec<_>, Vec<_>) = results.into_iter().unzip();
                self.model.give(uid, Given::Results(logicals));
                // Pointer 0 is nobody's, so that the others are where a peer's results have them.
                let caps: Vec<_> = std::iter::once(None).chain(caps.into_iter().map(Some)).collect();
                self.engine.respond(call, &Content::capabilities(caps.len() as u16), caps);
            }
        }
    }

    pub(super) fn host_resolves(&mut self, which: u16, to: u16) {
        let Some(at) = pick(&self.host_promises, which) else { return };
        let (promise, logical) = self.host_promises.swap_remove(at);
        let main = self.mains[pick(&self.mains, to).unwrap()].as_ref().unwrap();
        let (cap, to) = match to % 8 {
            0 => (Err(Exception::failed("refused")), None),
            _ => (Ok(self.engine.retain(&main.0)), Some(main.2)),
        };
        self.model.meanings[logical as usize] = Meaning::Promise(Some(to));
        self.engine.resolve(promise, cap);
    }

    pub(super) fn host_calls(&mut self, whom: u16) {
        let main = self.mains[pick(&self.mains, whom).unwrap()].as_ref().unwrap();
        let lineage = self.model.lineage();
        let uid = self.model.call(HOST, main.2, lineage, 1, false);
        let mut message = capnp::message::Builder::new_default();
        let mut content = message.init_root::<jackfield::schema::rpc_capnp::exception::detail::Builder>();
        content.set_detail_id(uid);
        let words: Vec<u8> = [lineage, 1, main.2].iter().flat_map(|word| word.to_le_bytes()).collect();
        content.set_data(&words);
        let content = Content::from_message(&message).unwrap();
        let call = Outgoing { interface: 0xfeed, method: 7, content, caps: Vec::new() };
        let question = self.engine.call(&main.0, call);
        self.host_questions.push((question, uid));
    }
}
