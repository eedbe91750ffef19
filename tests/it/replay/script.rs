//! A transcript with what each of its messages needs before it can be sent.
//!
//! The recording shows one order of many. A message may move as far as its ids let it: an answer comes after its
//! question, a use after what brought the capability, an id is taken again after it was given free.

use std::collections::HashMap;

use jackfield::wire::message::{Descriptor, KEEP_RESULT_CAPS, Target};

use super::message::{Message, Out};
use crate::support::transcript::{Direction, Transcript};

pub struct Script {
    pub name: String,
    pub steps: Vec<Step>,
}

pub struct Step {
    pub from: Direction,
    pub message: Message,
    pub bytes: Vec<u8>,
    pub needs: Vec<Need>,
    /// Of a question: the step that answers it.
    pub answer: Option<usize>,
    /// Of an answer: the step that asked.
    pub question: Option<usize>,
}

pub enum Need {
    /// This step of the other side has arrived.
    Arrived(usize),
    /// The other side has given up this question: only then may it come back as canceled.
    GivenUp(usize),
    /// Everyone has let go of this capability of one's own, so that its id can stand for another.
    Free(u32),
    /// This capability of the other side has arrived, by whatever message.
    Import(u32),
}

impl Script {
    pub fn of(transcript: &Transcript) -> Self {
        let mut script = Self { name: transcript.name.clone(), steps: Vec::new() };
        let mut counts: HashMap<(bool, u32), i64> = HashMap::new();
        for (from, bytes) in &transcript.frames {
            let message = Message::of(bytes);
            let question = message.answers().map(|id| script.last_ask(!is_caller(*from), id));
            let needs = script.needs(*from, &message, question, &counts);
            script.count(*from, &message, question, &mut counts);
            let index = script.steps.len();
            if let Some(question) = question {
                script.steps[question].answer = Some(index);
            }
            let bytes = bytes.clone();
            script.steps.push(Step { from: *from, message, bytes, needs, answer: None, question });
        }
        script
    }

    /// The latest step in which that side asked question `id`.
    pub fn last_ask(&self, caller: bool, id: u32) -> usize {
        let asks = |step: &Step| is_caller(step.from) == caller && step.message.asks() == Some(id);
        self.steps.iter().rposition(asks).expect("an answer follows its question")
    }

    /// The steps of one side that another side must wait for because they speak of capability `id`.
    fn mentions(&self, caller: bool, id: u32) -> impl Iterator<Item = usize> {
        let mentions = move |step: &Step| {
            is_caller(step.from) == caller && step.message.exported().any(|exported| exported == id)
        };
        let waits = |step: &Step| !matches!(step.message, Message::Resolve { .. });
        self.steps
            .iter()
            .enumerate()
            .filter(move |(_, step)| mentions(step) && waits(step))
            .map(|(index, _)| index)
    }

    fn needs(
        &self,
        from: Direction,
        message: &Message,
        question: Option<usize>,
        counts: &HashMap<(bool, u32), i64>,
    ) -> Vec<Need> {
        let caller = is_caller(from);
        let mut needs: Vec<_> = question.map(Need::Arrived).into_iter().collect();
        let answered = |id: u32| self.steps[self.last_ask(caller, id)].answer.map(Need::Arrived);
        match message {
            Message::Return { outcome: Out::Canceled, .. } => needs.extend(question.map(Need::GivenUp)),
            Message::Call { question, target, .. } => {
                let before =
                    |step: &Step| is_caller(step.from) == caller && step.message.asks() == Some(*question);
                if self.steps.iter().any(before) {
                    needs.extend(answered(*question));
                }
                if let Target::Import(id) = target {
                    needs.push(Need::Import(*id));
                }
            }
            // A Finish that also releases what the answer brings may cross it.
            Message::Finish { question, flags } if flags & KEEP_RESULT_CAPS != 0 => {
                needs.extend(answered(*question))
            }
            Message::Release { id, .. } => needs.extend(self.mentions(!caller, *id).map(Need::Arrived)),
            _ => {}
        }
        for cap in message.caps() {
            match cap {
                Descriptor::ReceiverHosted(id) => needs.push(Need::Import(*id)),
                Descriptor::SenderHosted(id) | Descriptor::SenderPromise(id)
                    if counts.get(&(caller, *id)) == Some(&0) =>
                {
                    needs.push(Need::Free(*id));
                }
                _ => {}
            }
        }
        needs
    }

    /// Keeps count of who holds what, as recorded.
    fn count(
        &self,
        from: Direction,
        message: &Message,
        question: Option<usize>,
        counts: &mut HashMap<(bool, u32), i64>,
    ) {
        let caller = is_caller(from);
        for id in message.exported() {
            *counts.entry((caller, id)).or_default() += 1;
        }
        if let Message::Release { id, count } = message {
            *counts.entry((!caller, *id)).or_default() -= i64::from(*count);
        }
        if let (Message::Return { release_params: true, .. }, Some(question)) = (message, question) {
            for id in self.steps[question].message.exported() {
                *counts.entry((!caller, id)).or_default() -= 1;
            }
        }
    }

    /// Where a capability of `side` in its answer to `question` lives, if the recording tells: an own id of the side.
    pub fn in_answer(&self, question: usize, path: &[u16]) -> Option<u32> {
        let answer = &self.steps[self.steps[question].answer?].message;
        let Message::Return { outcome: Out::Results(payload), .. } = answer else { return None };
        match payload.caps.get(payload.content.capability(path)?)? {
            Descriptor::SenderHosted(id) | Descriptor::SenderPromise(id) => Some(*id),
            _ => None,
        }
    }

    /// Whether one of these two capabilities of a side resolved to the other.
    pub fn resolved(&self, from: Direction, one: u32, other: u32) -> bool {
        self.steps.iter().any(|step| match &step.message {
            Message::Resolve { promise, cap: Some(Descriptor::SenderHosted(to)), .. } => {
                step.from == from && [(one, other), (other, one)].contains(&(*promise, *to))
            }
            _ => false,
        })
    }
}

pub fn is_caller(from: Direction) -> bool {
    from == Direction::FromCaller
}
