//! Peers that say exactly what a test tells them to. Messages are built and read with the `capnp` crate; the
//! engine under test sees only bytes.

mod peer;
mod reading;
mod sending;

use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;

use jackfield::rpc::{Budget, CapId, ConnId, Engine, Event, Limits, Outgoing, TableSizes};
use jackfield::wire::build::Content;
use jackfield::wire::exception::Exception;

pub use peer::Peer;
pub use reading::read;

/// How messages are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One segment, structs of full size: what peers send.
    Plain,
    /// Every object in a segment of its own, behind far pointers.
    Scattered,
    /// Trailing zeros cut off every struct, as in the canonical form.
    Canonical,
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    Import(u32),
    Answer(u32, Vec<u16>),
}

/// A capability as its sender names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cap {
    Null,
    /// The sender's.
    Mine(u32),
    /// The sender's, to be resolved.
    MyPromise(u32),
    /// The receiver's own.
    Yours(u32),
    /// In the receiver's answer to a question of the sender's.
    YourAnswer(u32, Vec<u16>),
    /// At a third party, with its vine.
    Third(u32),
}

/// A message that a peer got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Bootstrap(u32),
    Call(Called),
    Return(Returned),
    Finish { question: u32, release: bool, workaround: bool },
    Resolve { promise: u32, to: Result<Cap, String> },
    Release { id: u32, count: u32 },
    SenderLoopback { to: To, id: u32 },
    ReceiverLoopback { to: To, id: u32 },
    Abort(String),
    Unimplemented(u16),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    pub question: u32,
    pub to: To,
    pub interface: u64,
    pub method: u16,
    pub marker: u32,
    pub caps: Vec<Cap>,
    pub yourself: bool,
    pub only_pipeline: bool,
    pub no_pipelining: bool,
    pub third_party_tail: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    pub answer: u32,
    pub release_params: bool,
    pub no_finish: bool,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Results { marker: u32, caps: Vec<Cap> },
    Exception(Exception),
    Canceled,
    Elsewhere,
    TakeFrom(u32),
}

pub fn import(id: u32) -> To {
    To::Import(id)
}

pub fn answer(question: u32, path: &[u16]) -> To {
    To::Answer(question, path.to_vec())
}

/// An engine, and peers around it.
#[derive(Clone)]
pub struct Net {
    engine: Rc<RefCell<Engine>>,
    pub budget: Arc<Budget>,
}

impl Net {
    pub fn new() -> Self {
        Net::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let budget = Budget::new(Budget::DEFAULT_BYTES);
        Net { engine: Rc::new(RefCell::new(Engine::new(limits, budget.clone()))), budget }
    }

    pub fn engine(&self) -> RefMut<'_, Engine> {
        self.engine.borrow_mut()
    }

    pub fn peer(&self, name: &'static str) -> Peer {
        self.peer_with(name, None)
    }

    /// A peer that gets `bootstrap`.
    pub fn peer_with(&self, name: &'static str, bootstrap: Option<CapId>) -> Peer {
        let conn = self.engine().connect(bootstrap);
        self.attached(name, conn)
    }

    pub fn attached(&self, name: &'static str, conn: ConnId) -> Peer {
        Peer::new(self.clone(), name, conn)
    }

    pub fn event(&self) -> Event {
        self.engine().poll_event().expect("an event")
    }

    pub fn no_event(&self) {
        let event = self.engine().poll_event();
        assert!(event.is_none(), "an event nobody expected: {event:?}");
    }

    /// A capability of `peer`, which it exports as `id`, in the hands of the host.
    pub fn obtain(&self, peer: &Peer, id: u32) -> CapId {
        let question = self.engine().bootstrap(peer.conn);
        let Said::Bootstrap(asked) = peer.next() else { panic!("no Bootstrap") };
        peer.results(asked).at(&[0], Cap::Mine(id)).send();
        let mut incoming = loop {
            match self.event() {
                Event::Return { result: Ok(incoming), .. } => break incoming,
                Event::Closed { .. } => {}
                other => panic!("{other:?} instead of a Return"),
            }
        };
        self.engine().finish(question);
        assert!(matches!(peer.next(), Said::Finish { .. }));
        incoming.caps[0].take().expect("a capability")
    }

    /// Two peers; `b` exports its capability `id` to `a`, who finds it under the id that comes back.
    pub fn give(&self, b: &Peer, id: u32, a_name: &'static str) -> (Peer, u32) {
        let cap = self.obtain(b, id);
        let a = self.peer_with(a_name, Some(cap));
        let id = a.get_bootstrap();
        (a, id)
    }

    /// Lets `to` have a capability of the host's; returns its id there.
    pub fn hand(&self, to: &Peer, cap: CapId) -> u32 {
        let target = self.obtain(to, 0xfeed);
        let content = Content::capabilities(1);
        let outgoing = Outgoing { interface: 1, method: 1, content, caps: vec![Some(cap)] };
        let question = self.engine().call(&target, outgoing);
        let called = to.expect_call();
        let (Cap::Mine(id) | Cap::MyPromise(id)) = called.caps[0] else {
            panic!("not handed over: {called:?}")
        };
        to.results(called.question).send();
        assert!(matches!(self.event(), Event::Return { .. }));
        self.engine().finish(question);
        to.expect_finish(called.question, false);
        self.engine().release(target);
        assert_eq!(to.next(), Said::Release { id: 0xfeed, count: 1 });
        id
    }

    /// Lets `a` have the capability `id` of `c`, in an answer of `b`, of whom `a` has `to_b`.
    pub fn introduce(&self, c: &Peer, id: u32, a: &Peer, to_b: u32, b: &Peer) -> u32 {
        let cap = self.obtain(c, id);
        let at_b = self.hand(b, cap);
        a.call(0x1d, import(to_b)).send();
        let question = b.expect_call().question;
        b.results(question).with(Cap::Yours(at_b)).send();
        let caps = a.expect_results(0x1d);
        let [Cap::Mine(at_a)] = caps[..] else { panic!("not introduced: {caps:?}") };
        a.finish_keep(0x1d);
        b.expect_finish(question, false);
        at_a
    }

    pub fn empty(&self, peers: &[&Peer]) {
        for peer in peers {
            let sizes = peer.sizes();
            assert_eq!(sizes, TableSizes::default(), "{} is left with something", peer.name);
        }
    }
}
