//! An engine between sockets, with a host that gives the caller the first target's main object and lets the first
//! have the second's.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll};

use jackfield::net::{Driver, Host, Net, Plug, Socket};
use jackfield::rpc::{Budget, CapId, ConnId, Engine, Event, Limits, Outgoing, QuestionId};
use jackfield::wire::build::Content;
use jackfield::wire::exception::Exception;
use tokio::sync::watch;

/// Its end of the test.
pub struct Between {
    left: watch::Receiver<Option<usize>>,
}

impl Between {
    /// Waits until the caller has gone and nothing of it is left in any table.
    pub async fn cleared(mut self) {
        let cleared = self.left.wait_for(|left| *left == Some(0)).await;
        assert!(cleared.is_ok(), "the driver ended with something left");
    }
}

/// Starts a driver on the current `LocalSet`; returns the far ends of its callers and targets.
pub fn start<const TARGETS: usize>() -> (Between, [UnixStream; 1], [UnixStream; TARGETS]) {
    let (caller, callers_end) = UnixStream::pair().expect("a pair of sockets");
    let pairs = [(); TARGETS].map(|()| UnixStream::pair().expect("a pair of sockets"));
    let mut far = Vec::new();
    let mut near = Vec::new();
    for (ours, theirs) in pairs {
        near.push(ours);
        far.push(theirs);
    }
    let budget = Budget::new(Budget::DEFAULT_BYTES);
    let (tell, left) = watch::channel(None);
    let host = Middle {
        caller: Some(caller),
        caller_conn: None,
        targets: near,
        conns: Vec::new(),
        asked: Vec::new(),
        caps: Vec::new(),
        handed: None,
        gone: false,
        tell,
    };
    let engine = Engine::new(Limits::default(), budget.clone());
    tokio::task::spawn_local(Driver::new(engine, budget, host));
    let far = far.try_into().expect("one far end for each target");
    (Between { left }, [callers_end], far)
}

struct Middle {
    caller: Option<UnixStream>,
    caller_conn: Option<ConnId>,
    targets: Vec<UnixStream>,
    conns: Vec<ConnId>,
    asked: Vec<QuestionId>,
    caps: Vec<CapId>,
    handed: Option<QuestionId>,
    gone: bool,
    tell: watch::Sender<Option<usize>>,
}

fn plug(socket: UnixStream) -> Plug {
    socket.set_nonblocking(true).expect("a socket");
    Plug { socket: Socket::new(OwnedFd::from(socket)).expect("a socket"), read: Vec::new() }
}

impl Middle {
    fn let_caller_in(&mut self, net: &mut Net) {
        let Some(socket) = self.caller.take() else { return };
        let cap = self.caps.remove(0);
        let conn = net.engine.connect(Some(cap));
        self.caller_conn = Some(conn);
        net.plug(conn, plug(socket));
    }

    fn answered(&mut self, net: &mut Net, question: QuestionId, mut caps: Vec<Option<CapId>>) {
        net.engine.finish(question);
        if self.handed == Some(question) {
            return self.let_caller_in(net);
        }
        self.caps.extend(caps.drain(..).flatten());
        if self.caps.len() < self.asked.len() {
            return;
        }
        if self.caps.len() == 1 {
            return self.let_caller_in(net);
        }
        // getSubstream of the first, with the second's object for a callback and the limit by default.
        let second = self.caps.remove(1);
        let content = Content::capabilities(1);
        let call = Outgoing { interface: BYTE_STREAM, method: 2, content, caps: vec![Some(second)] };
        self.handed = Some(net.engine.call(&self.caps[0], call));
    }
}

/// Type id of ByteStream.
const BYTE_STREAM: u64 =
    <jackfield::schema::byte_stream_capnp::byte_stream::Client as capnp::traits::HasTypeId>::TYPE_ID;

impl Host for Middle {
    fn event(&mut self, net: &mut Net, event: Event) {
        match event {
            Event::Return { question, result } => {
                let caps = result.expect("an answer to the host").caps;
                self.answered(net, question, caps);
            }
            Event::Closed { conn, hostile, reason, .. } => {
                assert!(!hostile, "a peer was ended: {}", reason.reason);
                self.gone |= Some(conn) == self.caller_conn;
            }
            Event::Call { .. } | Event::Canceled { .. } | Event::ObjectDropped { .. } => {}
        }
    }

    fn poll(&mut self, net: &mut Net, _: &mut Context<'_>) -> Poll<()> {
        for socket in self.targets.drain(..) {
            let conn = net.engine.connect(None);
            net.plug(conn, plug(socket));
            self.asked.push(net.engine.bootstrap(conn));
            self.conns.push(conn);
        }
        Poll::Pending
    }

    fn turn(&mut self, net: &mut Net) {
        if self.gone {
            let left = self.conns.iter().map(|conn| net.engine.sizes(*conn)).map(|sizes| {
                sizes.questions + sizes.answers + sizes.imports + sizes.exports + sizes.embargoes
            });
            let left = left.sum();
            self.tell.send_if_modified(|told| told.replace(left) != Some(left));
        }
    }

    fn lost(&mut self, _: ConnId, why: &str) -> Exception {
        Exception::disconnected(why)
    }
}
