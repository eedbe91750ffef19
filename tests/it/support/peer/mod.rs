//! A simulated peer: a small, complete endpoint of Cap'n Proto's RPC (two-party, level 1) on frames, written from
//! the protocol and with nothing of the switch's own code. It checks the switch as strictly as a real peer, and
//! more: an id that it does not know, an answer too many or an Abort is a panic.

mod names;
mod node;
mod receive;
pub mod wire;
mod work;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use node::*;
pub use node::{Cap, Node, Outgoing};
use wire::{Body, Msg, Shape, Thrown};

/// What the peer's code learns.
pub enum Heard {
    /// A call reached an object; `invocation` is answered by [`Peer::complete`], a call of its own is not.
    Delivered { object: u64, body: Body, caps: Vec<Option<Cap>>, invocation: Option<u64> },
    /// The call is not wanted any more.
    Canceled { uid: u64 },
    /// A call of the peer's was answered.
    Answered { uid: u64, result: Result<(Body, Vec<Option<Cap>>), Thrown> },
}

#[derive(Default)]
pub struct Peer {
    pub name: u64,
    questions: HashMap<u32, Question>,
    answers: HashMap<u32, Answer>,
    imports: HashMap<u32, Import>,
    exports: HashMap<u32, Export>,
    embargoes: HashMap<u32, (Cap, Cap)>,
    /// Answers that went with their Return: calls that crossed it may still name them.
    vanished: HashSet<u32>,
    pub invocations: BTreeMap<u64, Invocation>,
    /// Questions that the peer's code has not let go of, by the call of the model.
    open: BTreeMap<u64, Option<Rc<QuestionRef>>>,
    pub heard: Vec<Heard>,
    pub out: VecDeque<Vec<u8>>,
    drops: Drops,
    serial: u64,
    next_high: u32,
}

fn lowest<T>(table: &HashMap<u32, T>) -> u32 {
    (0..).find(|id| !table.contains_key(id)).unwrap()
}

impl Peer {
    pub fn new(name: u64) -> Self {
        Peer { name, ..Peer::default() }
    }

    /// Ids that are in use: questions, answers, imports, exports, embargoes.
    pub fn in_use(&self) -> [Vec<u32>; 5] {
        fn ids<T>(table: &HashMap<u32, T>) -> Vec<u32> {
            table.keys().copied().collect()
        }
        [
            ids(&self.questions),
            ids(&self.answers),
            ids(&self.imports),
            ids(&self.exports),
            ids(&self.embargoes),
        ]
    }

    fn wrong(&self, what: &str) -> ! {
        panic!("peer {}: {what}", self.name)
    }

    fn send(&mut self, msg: &Msg) {
        self.serial += 1;
        let shape = match self.serial % 5 {
            0 => Shape::Far,
            1 => Shape::DoubleFar,
            _ => Shape::OneSegment,
        };
        self.out.push_back(wire::encode(msg, shape));
    }

    /// Sends what the references that were dropped since the last time call for.
    pub fn settle(&mut self) {
        loop {
            let Some(dropped) = self.drops.borrow_mut().pop() else { return };
            match dropped {
                Dropped::Import(id, serial) => {
                    let mine = |import: &Import| import.serial == serial && import.held.strong_count() == 0;
                    if self.imports.get(&id).is_some_and(mine) {
                        let count = self.imports.remove(&id).unwrap().count;
                        if count > 0 {
                            self.send(&Msg::Release { id, count });
                        }
                    }
                }
                Dropped::Question(id, serial) => self.finish(id, serial),
            }
        }
    }

    fn finish(&mut self, id: u32, serial: u64) {
        let Some(question) = self.questions.get_mut(&id).filter(|question| question.serial == serial) else {
            return;
        };
        question.finished = true;
        let (returned, forgotten) = (question.returned, question.forgotten);
        if returned || question.only_pipeline {
            self.questions.remove(&id);
        }
        if !forgotten {
            self.send(&Msg::Finish { question: id, release_results: !returned });
        }
    }

    fn ask(&mut self, uid: Option<u64>, only_pipeline: bool, tail: bool) -> Rc<QuestionRef> {
        let id = if only_pipeline {
            self.next_high = (self.next_high + 1) % (1 << 31);
            1 << 31 | self.next_high
        } else {
            lowest(&self.questions)
        };
        self.serial += 1;
        let question = Question {
            serial: self.serial,
            returned: false,
            finished: false,
            forgotten: false,
            only_pipeline,
            tail,
            uid,
            pipelines: Vec::new(),
            param_exports: Vec::new(),
        };
        self.questions.insert(id, question);
        Rc::new(QuestionRef { id, serial: self.serial, drops: self.drops.clone() })
    }

    /// Asks for the switch's main object.
    pub fn bootstrap(&mut self, uid: u64) {
        let question = self.ask(Some(uid), false, false);
        self.send(&Msg::Bootstrap(question.id));
        self.open.insert(uid, Some(question));
    }

    pub fn object(&self, object: u64) -> Cap {
        Node::new(State::Object(object))
    }

    /// Calls `cap`. The question stays open until [`Peer::let_go`].
    pub fn call(&mut self, cap: &Cap, call: Outgoing) {
        self.open.insert(call.body.uid, None);
        self.dispatch(cap, Waiting::Out(call));
        self.settle();
    }

    /// Finishes a question, early or late, once no pipelined capability needs it.
    pub fn let_go(&mut self, uid: u64) {
        self.open.remove(&uid);
        self.settle();
    }

    pub fn open(&self) -> Vec<u64> {
        self.open.iter().filter(|(_, question)| question.is_some()).map(|(uid, _)| *uid).collect()
    }

    /// A capability in the answer to an open question that has not been answered.
    pub fn pipeline(&mut self, uid: u64, path: &[u16]) -> Option<Cap> {
        let question = self.open.get(&uid)?.clone()?;
        let entry = self.questions.get(&question.id).filter(|entry| entry.serial == question.serial)?;
        (!entry.returned).then(|| self.pipelined(&question, path))
    }

    fn pipelined(&mut self, question: &Rc<QuestionRef>, path: &[u16]) -> Cap {
        let entry = self.questions.get_mut(&question.id).unwrap();
        let known = entry.pipelines.iter().find(|(at, _)| at == path).and_then(|(_, node)| node.upgrade());
        known.unwrap_or_else(|| {
            let node = Node::new(State::Pipeline(question.clone(), path.to_vec()));
            entry.pipelines.push((path.to_vec(), Rc::downgrade(&node)));
            node
        })
    }
}
