use capnp::message::ReaderOptions;
use capnp::serialize;
use jackfield::rpc::{ConnId, Event, TableSizes};
use jackfield::schema::rpc_capnp as rpc;
use jackfield::wire::exception::Exception;

use super::reading::read;
use super::sending::{self, Kind, Sending};
use super::{Called, Cap, Layout, Net, Outcome, Returned, Said, To};

/// One side of a connection to the engine.
#[derive(Clone)]
pub struct Peer {
    net: Net,
    pub conn: ConnId,
    pub name: &'static str,
    pub layout: Layout,
}

impl Peer {
    pub(super) fn new(net: Net, name: &'static str, conn: ConnId) -> Self {
        Peer { net, conn, name, layout: Layout::Plain }
    }

    pub fn lays_out(&mut self, layout: Layout) {
        self.layout = layout;
    }

    pub fn sizes(&self) -> TableSizes {
        self.net.engine().sizes(self.conn)
    }

    /// Asks for the main object, finishes the question, and returns the id.
    pub fn get_bootstrap(&self) -> u32 {
        self.say(|message| message.init_bootstrap().set_question_id(0xb007));
        let returned = self.expect_return();
        let Outcome::Results { caps, .. } = returned.outcome else { panic!("{returned:?}") };
        self.finish_keep(0xb007);
        match caps.as_slice() {
            [Cap::Mine(id) | Cap::MyPromise(id)] => *id,
            other => panic!("a bootstrap answer with {other:?}"),
        }
    }

    // Sending.

    pub fn say(&self, build: impl FnOnce(rpc::message::Builder)) {
        let mut message = sending::builder(self.layout);
        build(message.init_root());
        self.deliver(sending::serialized(message, self.layout));
    }

    /// Sends bytes as they are.
    pub fn deliver(&self, mut bytes: Vec<u8>) {
        self.net.engine().receive(self.conn, &mut bytes);
    }

    pub fn bootstrap(&self, question: u32) {
        self.say(|message| message.init_bootstrap().set_question_id(question));
    }

    pub fn call(&self, question: u32, to: To) -> Sending<'_> {
        Sending::new(self, Kind::Call { question, to })
    }

    pub fn results(&self, answer: u32) -> Sending<'_> {
        Sending::new(self, Kind::Results { answer })
    }

    pub fn ret(&self, answer: u32, with: impl FnOnce(&mut rpc::return_::Builder)) {
        self.say(|message| {
            let mut ret = message.init_return();
            ret.set_answer_id(answer);
            ret.set_release_param_caps(false);
            with(&mut ret);
        });
    }

    pub fn throw(&self, answer: u32, reason: &str) {
        self.ret(answer, |ret| ret.reborrow().init_exception().set_reason(reason));
    }

    pub fn canceled(&self, answer: u32) {
        self.ret(answer, |ret| ret.set_canceled(()));
    }

    pub fn take_from(&self, answer: u32, other: u32) {
        self.ret(answer, |ret| ret.set_take_from_other_question(other));
    }

    /// Finish that releases the capabilities in the results.
    pub fn finish(&self, question: u32) {
        self.say(|message| message.init_finish().set_question_id(question));
    }

    /// Finish that keeps the capabilities in the results.
    pub fn finish_keep(&self, question: u32) {
        self.say(|message| {
            let mut finish = message.init_finish();
            finish.set_question_id(question);
            finish.set_release_result_caps(false);
        });
    }

    pub fn release(&self, id: u32, count: u32) {
        self.say(|message| {
            let mut release = message.init_release();
            release.set_id(id);
            release.set_reference_count(count);
        });
    }

    pub fn resolve(&self, promise: u32, to: Cap) {
        self.say(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(promise);
            sending::describe(resolve.init_cap(), &to);
        });
    }

    pub fn break_promise(&self, promise: u32, reason: &str) {
        self.say(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(promise);
            resolve.init_exception().set_reason(reason);
        });
    }

    pub fn sender_loopback(&self, to: To, id: u32) {
        self.say(|message| {
            let mut disembargo = message.init_disembargo();
            disembargo.reborrow().get_context().set_sender_loopback(id);
            sending::address(disembargo.init_target(), &to);
        });
    }

    pub fn receiver_loopback(&self, to: To, id: u32) {
        self.say(|message| {
            let mut disembargo = message.init_disembargo();
            disembargo.reborrow().get_context().set_receiver_loopback(id);
            sending::address(disembargo.init_target(), &to);
        });
    }

    pub fn hang_up(&self, why: &str) {
        self.net.engine().close(self.conn, Exception::disconnected(why));
    }

    // Receiving.

    /// The bytes of the next message for this peer.
    pub fn next_bytes(&self) -> Option<Vec<u8>> {
        let mut engine = self.net.engine();
        let out = engine.output(self.conn)?;
        let mut rest = out.as_slice();
        if rest.is_empty() {
            return None;
        }
        serialize::read_message_from_flat_slice(&mut rest, ReaderOptions::new()).expect("a whole message");
        let taken = out.len() - rest.len();
        Some(out.drain(..taken).collect())
    }

    pub fn maybe_next(&self) -> Option<Said> {
        self.next_bytes().map(|bytes| match read(&bytes) {
            Ok(said) => said,
            Err(error) => panic!("{} got a message that cannot be read ({error}): {bytes:02x?}", self.name),
        })
    }

    pub fn next(&self) -> Said {
        self.maybe_next().unwrap_or_else(|| panic!("{} got nothing", self.name))
    }

    pub fn silent(&self) {
        let said = self.maybe_next();
        assert!(said.is_none(), "{} got a message that nobody expected: {said:?}", self.name);
    }

    /// All that waits for this peer, but for what is released.
    pub fn rest(&self) -> Vec<Said> {
        let said = std::iter::from_fn(|| self.maybe_next());
        said.filter(|said| !matches!(said, Said::Release { .. })).collect()
    }

    pub fn expect_release(&self, id: u32, count: u32) {
        assert_eq!(self.next(), Said::Release { id, count });
    }

    pub fn expect_call(&self) -> Called {
        match self.next() {
            Said::Call(called) => called,
            other => panic!("{} got {other:?} instead of a Call", self.name),
        }
    }

    pub fn expect_return(&self) -> Returned {
        match self.next() {
            Said::Return(returned) => returned,
            other => panic!("{} got {other:?} instead of a Return", self.name),
        }
    }

    /// A Return with results; their capabilities.
    pub fn expect_results(&self, question: u32) -> Vec<Cap> {
        let returned = self.expect_return();
        assert_eq!(returned.answer, question);
        match returned.outcome {
            Outcome::Results { caps, .. } => caps,
            other => panic!("{} got {other:?} instead of results", self.name),
        }
    }

    pub fn expect_exception(&self, question: u32) -> Exception {
        let returned = self.expect_return();
        assert_eq!(returned.answer, question);
        match returned.outcome {
            Outcome::Exception(exception) => exception,
            other => panic!("{} got {other:?} instead of an exception", self.name),
        }
    }

    pub fn expect_outcome(&self, question: u32, outcome: Outcome) {
        let returned = self.expect_return();
        assert_eq!((returned.answer, returned.outcome), (question, outcome));
    }

    pub fn expect_finish(&self, expected: u32, released: bool) {
        match self.next() {
            Said::Finish { question, release, .. } => assert_eq!((question, release), (expected, released)),
            other => panic!("{} got {other:?} instead of a Finish", self.name),
        }
    }

    /// The next message ends the connection, and the host is told.
    pub fn expect_abort(&self) -> String {
        let said = self.rest();
        let [Said::Abort(reason)] = &said[..] else {
            panic!("{} was not ended, but got {said:?}", self.name)
        };
        let reason = reason.clone();
        loop {
            match self.net.event() {
                Event::Closed { conn, hostile, .. } if conn == self.conn => {
                    assert!(hostile);
                    return reason;
                }
                _ => {}
            }
        }
    }
}
