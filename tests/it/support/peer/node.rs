//! What a simulated peer holds: capabilities as a graph of nodes, and the four tables. References are `Rc`s; what
//! their drops cause on the wire is put on a list, which the peer works off after each step.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use super::wire::{Body, Thrown};

pub type Drops = Rc<RefCell<Vec<Dropped>>>;
pub type Cap = Rc<Node>;

/// A reference went: id and serial, since the id may be another's by the time that it is worked off.
pub enum Dropped {
    Import(u32, u64),
    Question(u32, u64),
}

pub struct ImportRef {
    pub id: u32,
    pub serial: u64,
    pub drops: Drops,
}

impl Drop for ImportRef {
    fn drop(&mut self) {
        self.drops.borrow_mut().push(Dropped::Import(self.id, self.serial));
    }
}

pub struct QuestionRef {
    pub id: u32,
    pub serial: u64,
    pub drops: Drops,
}

impl Drop for QuestionRef {
    fn drop(&mut self) {
        self.drops.borrow_mut().push(Dropped::Question(self.id, self.serial));
    }
}

pub struct Node {
    pub state: RefCell<State>,
    /// Something was sent along while it was a promise, so that its resolution may need an embargo.
    pub called: Cell<bool>,
}

pub enum State {
    Object(u64),
    Import(Rc<ImportRef>),
    Pipeline(Rc<QuestionRef>, Vec<u16>),
    /// Not known yet, or under embargo.
    Promise(VecDeque<Waiting>),
    Resolved(Cap),
    Broken(Thrown),
}

impl Node {
    pub fn new(state: State) -> Cap {
        Rc::new(Node { state: RefCell::new(state), called: Cell::new(false) })
    }

    pub fn promise() -> Cap {
        Node::new(State::Promise(VecDeque::new()))
    }

    pub fn broken(reason: &str) -> Cap {
        Node::new(State::Broken(Thrown::new(reason)))
    }

    pub fn is_promise(&self) -> bool {
        matches!(*self.state.borrow(), State::Promise(_))
    }
}

/// What a capability is by now.
pub fn leaf(cap: &Cap) -> Cap {
    let mut at = cap.clone();
    loop {
        let next = match &*at.state.borrow() {
            State::Resolved(next) => next.clone(),
            _ => break,
        };
        at = next;
    }
    at
}

/// What waits for a promise.
pub enum Waiting {
    Out(Outgoing),
    In(Incoming),
    Disembargo(u32),
}

/// A call of the peer's own.
pub struct Outgoing {
    pub body: Body,
    pub caps: Vec<Option<Cap>>,
    pub only_pipeline: bool,
}

/// A call to the peer.
pub struct Incoming {
    pub body: Body,
    pub caps: Vec<Option<Cap>>,
    /// Imports among its capabilities, one entry a descriptor.
    pub param_ids: Vec<u32>,
    pub slot: Rc<Slot>,
    pub only_pipeline: bool,
}

/// What ties a call's work to its answer: cut when the answer is finished early.
#[derive(Default)]
pub struct Slot {
    pub answer: Cell<Option<u32>>,
    /// Promises for capabilities in the results.
    pub nodes: RefCell<Vec<(Vec<u16>, Cap)>>,
}

impl Slot {
    /// Whether the results, or a capability in them, are still of use to anybody.
    pub fn is_wanted(&self) -> bool {
        let used = |node: &Cap| match &*node.state.borrow() {
            State::Promise(queue) => !queue.is_empty() || Rc::strong_count(node) > 1,
            _ => true,
        };
        self.answer.get().is_some() || self.nodes.borrow().iter().any(|(_, node)| used(node))
    }
}

pub struct Question {
    pub serial: u64,
    pub returned: bool,
    pub finished: bool,
    /// The switch wants no Finish.
    pub forgotten: bool,
    pub only_pipeline: bool,
    pub tail: bool,
    /// The call of the model that it stands for.
    pub uid: Option<u64>,
    pub pipelines: Vec<(Vec<u16>, Weak<Node>)>,
    pub param_exports: Vec<u32>,
}

pub struct Answer {
    pub slot: Rc<Slot>,
    pub invocation: Option<u64>,
    pub returned: bool,
    pub only_pipeline: bool,
    /// What calls on the answer reach, once it is there: what its descriptors named, never shortened.
    pub results: Option<(bool, Vec<Option<Cap>>)>,
    pub result_exports: Vec<u32>,
    pub tail: Option<Rc<QuestionRef>>,
}

pub struct Import {
    pub serial: u64,
    pub count: u32,
    pub promise: bool,
    pub node: Weak<Node>,
    pub held: Weak<ImportRef>,
}

pub struct Export {
    pub target: Cap,
    pub count: u32,
    /// A Resolve is owed.
    pub promise: bool,
}

/// A call that one of the peer's objects works on.
pub struct Invocation {
    pub uid: u64,
    pub caps: Vec<Option<Cap>>,
    pub param_ids: Vec<u32>,
    pub slot: Rc<Slot>,
}

/// The capability that `path` leads to.
pub fn at_path<'a>(is_cap: bool, caps: &'a [Option<Cap>], path: &[u16]) -> Option<&'a Cap> {
    match path {
        [] if is_cap => caps.first()?.as_ref(),
        [field] if !is_cap && *field > 0 => caps.get(usize::from(*field) - 1)?.as_ref(),
        _ => None,
    }
}
