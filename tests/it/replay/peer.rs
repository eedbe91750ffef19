//! One end of a recorded connection: says what the real one said, under the ids that the switch knows, and checks that
//! what it hears is what the real one heard.

use std::collections::{HashMap, HashSet, VecDeque};

use jackfield::wire::build::{self, Content};
use jackfield::wire::frame::Frame;
use jackfield::wire::message::{self, Call, Descriptor, KEEP_RESULT_CAPS, Outcome, Return, Target};

use super::message::{Load, Message, Out, release, retarget};
use super::script::{Need, Script, is_caller};
use crate::support::transcript::Direction;

pub struct Peer<'a> {
    script: &'a Script,
    side: Direction,
    /// Own steps that are still to be said.
    todo: VecDeque<usize>,
    /// Questions of the other side that are still to be heard.
    asks: VecDeque<usize>,
    arrived: HashSet<usize>,
    /// Own questions: the step that asked last under this id.
    asked: HashMap<u32, usize>,
    finished: HashSet<usize>,
    /// Questions of the other side: as recorded, and as the switch numbers them.
    heard: HashMap<usize, u32>,
    /// Of the latter, those that were finished before they were answered here.
    given_up: HashSet<usize>,
    said: HashSet<usize>,
    /// Capabilities of the other side by recorded id: as the switch numbers them, one entry for each reference.
    imports: HashMap<u32, Vec<u32>>,
    /// References that the recording has no use for.
    spare: Vec<u32>,
    /// References that the switch has to own capabilities.
    pub exports: HashMap<u32, i64>,
}

impl<'a> Peer<'a> {
    pub fn new(script: &'a Script, side: Direction) -> Self {
        let steps = || script.steps.iter().enumerate();
        let todo = steps().filter(|(_, step)| step.from == side).map(|(index, _)| index).collect();
        let others = steps().filter(|(_, step)| step.from != side && step.message.asks().is_some());
        Self {
            script,
            side,
            todo,
            asks: others.map(|(index, _)| index).collect(),
            arrived: HashSet::new(),
            asked: HashMap::new(),
            finished: HashSet::new(),
            heard: HashMap::new(),
            given_up: HashSet::new(),
            said: HashSet::new(),
            imports: HashMap::new(),
            spare: Vec::new(),
            exports: HashMap::new(),
        }
    }

    pub fn is_done(&self) -> bool {
        self.todo.is_empty()
    }

    /// Whether everything that the real one heard has been heard.
    pub fn heard_all(&self) -> bool {
        self.asks.is_empty()
    }

    pub fn next_step(&self) -> Option<usize> {
        self.todo.front().copied()
    }

    /// Whether the next step can be said.
    pub fn is_ready(&self) -> bool {
        self.todo.front().is_some_and(|step| self.script.steps[*step].needs.iter().all(|need| self.has(need)))
    }

    fn has(&self, need: &Need) -> bool {
        match need {
            Need::Arrived(step) => self.arrived.contains(step),
            Need::GivenUp(step) => self.given_up.contains(step),
            Need::Free(id) => self.exports.get(id).is_none_or(|count| *count == 0),
            Need::Import(id) => self.imports.get(id).is_some_and(|ids| !ids.is_empty()),
        }
    }

    /// Says the next step.
    pub fn say(&mut self) -> Vec<Vec<u8>> {
        let index = self.todo.pop_front().expect("a step that is ready");
        let step = &self.script.steps[index];
        self.said.insert(index);
        let mut out = Vec::new();
        let mut frame = Vec::new();
        match &step.message {
            Message::Bootstrap { question } => {
                self.asked.insert(*question, index);
                frame.clone_from(&step.bytes);
            }
            Message::Call { question, target, payload, .. } => {
                self.asked.insert(*question, index);
                self.export(&step.message);
                let mut bytes = step.bytes.clone();
                let mut parsed = Frame::new(&mut bytes).expect("a frame");
                let body = message::body(&mut parsed).expect("a body").body;
                let call = Call::parse(&mut parsed, body).expect("a call");
                call.payload.patch(&mut parsed, &self.caps(payload));
                if let Target::Import(id) = target {
                    retarget(&mut parsed, self.import(*id));
                }
                parsed.write(&mut frame);
            }
            Message::Return { outcome, release_params, .. } => {
                frame = self.answer(index, outcome);
                if *release_params {
                    let asked = &self.script.steps[step.question.expect("a question")].message;
                    out.extend(asked.exported().filter_map(|id| self.let_go(id)));
                }
            }
            Message::Finish { question, flags } => {
                let asked = self.asked[question];
                self.finished.insert(asked);
                if flags & KEEP_RESULT_CAPS == 0 {
                    self.release_with_finish(asked);
                }
                build::finish(&mut frame, *question, *flags);
            }
            Message::Resolve { promise, cap: Some(cap), .. } => {
                self.export(&step.message);
                build::resolve(&mut frame, *promise, &self.cap(cap));
            }
            Message::Resolve { .. } => frame.clone_from(&step.bytes),
            Message::Release { id, count } => out.extend((0..*count).filter_map(|_| self.let_go(*id))),
            other => panic!("no real pair has said {other:?}"),
        }
        if !frame.is_empty() {
            out.insert(0, frame);
        }
        out
    }

    fn answer(&mut self, index: usize, outcome: &Out) -> Vec<u8> {
        let step = &self.script.steps[index];
        let question = step.question.expect("an answer has a question");
        let (id, mut frame) = (self.heard[&question], Vec::new());
        if self.given_up.contains(&question) {
            build::canceled(&mut frame, id);
            return frame;
        }
        // Rule 7: whoever was asked to keep the results is asked by the switch to send them.
        if matches!(outcome, Out::Elsewhere) {
            build::results(&mut frame, id, &Content::capabilities(0), &[]);
            return frame;
        }
        self.export(&step.message);
        let mut bytes = step.bytes.clone();
        let mut parsed = Frame::new(&mut bytes).expect("a frame");
        let body = message::body(&mut parsed).expect("a body").body;
        let mut answer = Return::parse(&mut parsed, body).expect("a return");
        if let (Outcome::Results(payload), Out::Results(recorded)) = (&answer.outcome, outcome) {
            payload.patch(&mut parsed, &self.caps(recorded));
        }
        answer.patch(&mut parsed, id);
        parsed.write(&mut frame);
        frame
    }

    fn export(&mut self, message: &Message) {
        for id in message.exported() {
            *self.exports.entry(id).or_default() += 1;
        }
    }

    fn caps(&self, payload: &Load) -> Vec<Descriptor> {
        payload.caps.iter().map(|cap| self.cap(cap)).collect()
    }

    fn cap(&self, cap: &Descriptor) -> Descriptor {
        match cap {
            Descriptor::ReceiverHosted(id) => Descriptor::ReceiverHosted(self.import(*id)),
            other => other.clone(),
        }
    }

    fn import(&self, id: u32) -> u32 {
        *self.imports[&id].last().expect("a capability that has arrived")
    }

    /// Releases one reference, if there is one: what a promise resolved to may still be on its way.
    fn let_go(&mut self, id: u32) -> Option<Vec<u8>> {
        let id = self.imports.get_mut(&id)?.pop()?;
        Some(release(id))
    }

    /// Forgets what an answer brought, if it is there already: the Finish says so, no Release will.
    fn release_with_finish(&mut self, asked: usize) {
        let Some(answer) = self.script.steps[asked].answer.filter(|answer| self.arrived.contains(answer))
        else {
            return;
        };
        for id in self.script.steps[answer].message.exported() {
            self.imports.get_mut(&id).and_then(Vec::pop);
        }
    }

    /// Releases all that is left, as the real one does when the event is over.
    pub fn clean_up(&mut self) -> Vec<Vec<u8>> {
        let left = self.imports.drain().flat_map(|(_, ids)| ids).chain(self.spare.drain(..));
        left.map(release).collect()
    }

    /// Hears a frame of the switch.
    pub fn hear(&mut self, frame: &[u8]) {
        match Message::of(frame) {
            Message::Bootstrap { question } => self.heard_ask(question, None),
            Message::Call { question, method, pipeline_only, target, payload, .. } => {
                self.heard_ask(question, Some((method, pipeline_only, target, payload)));
            }
            Message::Return { answer, outcome, .. } => self.heard_answer(answer, &outcome),
            Message::Finish { question, flags } => self.heard_finish(question, flags),
            Message::Release { id, count } => self.drop_exports(id, i64::from(count)),
            Message::Resolve { promise, cap, exception } => self.heard_resolve(promise, cap, &exception),
            other => panic!("the switch said {other:?}"),
        }
    }

    fn heard_ask(&mut self, id: u32, call: Option<((u64, u16), bool, Target, Load)>) {
        let index = self.asks.pop_front().expect("no more questions than recorded");
        self.heard.insert(index, id);
        self.arrived.insert(index);
        match (&self.script.steps[index].message, call) {
            (Message::Bootstrap { .. }, None) => {}
            (Message::Call { method, pipeline_only, target, payload, question, .. }, Some(heard)) => {
                assert_eq!((*method, *pipeline_only), (heard.0, heard.1), "step {index}");
                assert_eq!(*question >= 1 << 31, id >= 1 << 31, "step {index}: the half of the ids (rule 4)");
                let asker = |id: u32| {
                    self.script.steps[..index]
                        .iter()
                        .rposition(|step| step.from != self.side && step.message.asks() == Some(id))
                };
                let recorded = self.place(target, asker);
                let found = self.place(&heard.2, |id| self.ask_heard_as(id));
                let same = recorded == found
                    || matches!((&recorded, &found), (Place::Own(a), Place::Own(b)) if self.script.resolved(self.side, *a, *b));
                assert!(same, "step {index} is for {recorded:?}, not for {found:?}");
                self.take_in(index, payload, &heard.3, false);
            }
            (recorded, heard) => panic!("step {index} is {recorded:?}, not {heard:?}"),
        }
    }

    /// The recorded question that the switch asked last under this id.
    fn ask_heard_as(&self, id: u32) -> Option<usize> {
        self.heard.iter().filter(|(_, heard)| **heard == id).map(|(index, _)| *index).max()
    }

    fn place(&self, target: &Target, asker: impl Fn(u32) -> Option<usize>) -> Place {
        match target {
            Target::Import(id) => Place::Own(*id),
            Target::Answer { question, path } => {
                let question = asker(*question).expect("a question that was asked");
                match self.script.in_answer(question, path) {
                    Some(id) => Place::Own(id),
                    None => Place::Answer(question, path.to_vec()),
                }
            }
        }
    }

    fn heard_answer(&mut self, id: u32, outcome: &Out) {
        let question = self.asked[&id];
        let index = self.script.steps[question].answer.expect("an answer was recorded");
        assert!(self.arrived.insert(index), "step {index} arrives twice");
        let gave_up = self.finished.contains(&question);
        let Message::Return { outcome: recorded, .. } = &self.script.steps[index].message else {
            panic!("an answer")
        };
        let yourself = matches!(&self.script.steps[question].message, Message::Call { yourself: true, .. });
        match (recorded, outcome) {
            (_, Out::Canceled) if gave_up => {}
            (_, Out::Elsewhere) if yourself => {}
            // Rule 7: the results come by way of the switch.
            (Out::Take, Out::Results(_)) => {}
            (Out::Results(recorded), Out::Results(found)) => self.take_in(index, recorded, found, gave_up),
            (Out::Exception(recorded), Out::Exception(found)) => assert_eq!(recorded, found, "step {index}"),
            (Out::Canceled, Out::Canceled) => {}
            other => panic!("step {index}: {other:?}"),
        }
    }

    /// Compares content and takes references to what the other side sent.
    fn take_in(&mut self, index: usize, recorded: &Load, found: &Load, given_up: bool) {
        assert_eq!(recorded.content, found.content, "step {index}");
        assert_eq!(recorded.caps.len(), found.caps.len(), "step {index}");
        for (recorded, found) in recorded.caps.iter().zip(&found.caps) {
            use Descriptor::{None, ReceiverAnswer, ReceiverHosted, SenderHosted, SenderPromise};
            match (recorded, found) {
                (SenderHosted(recorded) | SenderPromise(recorded), SenderHosted(id) | SenderPromise(id)) => {
                    if !given_up {
                        self.imports.entry(*recorded).or_default().push(*id);
                    }
                }
                // Rule 9: what is the receiver's own comes back as that.
                (ReceiverHosted(recorded), ReceiverHosted(found)) => {
                    assert_eq!(recorded, found, "step {index}")
                }
                (ReceiverHosted(_) | ReceiverAnswer { .. }, ReceiverHosted(_) | ReceiverAnswer { .. })
                | (None, None) => {}
                other => panic!("step {index}: {other:?}"),
            }
        }
    }

    fn heard_finish(&mut self, id: u32, flags: u64) {
        let Some(question) = self.ask_heard_as(id) else { panic!("Finish of a question that was not asked") };
        let answer = self.script.steps[question].answer;
        if !answer.is_some_and(|answer| self.said.contains(&answer)) {
            self.given_up.insert(question);
        } else if flags & KEEP_RESULT_CAPS == 0 {
            let ids: Vec<_> = self.script.steps[answer.expect("said")].message.exported().collect();
            ids.into_iter().for_each(|id| self.drop_exports(id, 1));
        }
    }

    fn heard_resolve(&mut self, promise: u32, cap: Option<Descriptor>, exception: &super::tree::Node) {
        let known = self.imports.iter().find(|(_, ids)| ids.contains(&promise)).map(|(id, _)| *id);
        let other = |step: &&super::script::Step| step.from != self.side;
        let recorded = self.script.steps.iter().filter(other).find_map(|step| match &step.message {
            Message::Resolve { promise, cap, exception } if Some(*promise) == known => Some((cap, exception)),
            _ => None,
        });
        match (recorded, cap) {
            (Some((Some(Descriptor::SenderHosted(recorded)), _)), Some(Descriptor::SenderHosted(id))) => {
                self.imports.entry(*recorded).or_default().push(id);
            }
            (_, Some(Descriptor::SenderHosted(id) | Descriptor::SenderPromise(id))) => self.spare.push(id),
            (Some((None, recorded)), None) => assert_eq!(recorded, exception, "the end of promise {promise}"),
            _ => {}
        }
    }

    fn drop_exports(&mut self, id: u32, count: i64) {
        let held = self.exports.entry(id).or_default();
        *held -= count;
        assert!(*held >= 0, "capability {id} of {:?} is released too often (rule 10)", is_caller(self.side));
    }
}

/// Whom a call is for, from the receiver's point of view.
#[derive(Debug, PartialEq)]
enum Place {
    Own(u32),
    Answer(usize, Vec<u16>),
}
