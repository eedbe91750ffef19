//! Our stubs against objects that capnp-rpc serves.

use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};

use jackfield::net::local::{Body, Call, Connection, Fault, Peer, RpcError, Settings};

use super::far::{CALL, DEADLINE, PIPELINE, TARGET, Told, answer, ask, asked, bytes, say, serve, soon};

/// A peer of ours, connected to a thread that serves with capnp-rpc.
pub struct Rig {
    pub peer: Peer,
    pub line: Connection,
    pub told: Receiver<Told>,
}

impl Rig {
    pub async fn start() -> Self {
        let peer = Peer::start(Settings::default());
        let (line, told) = connect(&peer);
        Rig { peer, line, told }
    }

    pub fn told(&self) -> Told {
        self.told.recv_timeout(DEADLINE).expect("told in time")
    }
}

pub fn connect(peer: &Peer) -> (Connection, Receiver<Told>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (told, hear) = sync_channel(1 << 16);
    drop(serve(theirs, told));
    (peer.connect(ours, "capnp-rpc", None).unwrap(), hear)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered() {
    let rig = Rig::start().await;
    let far = rig.line.bootstrap();
    assert_eq!(say(&far, "echo", b"hello").await.unwrap(), b"hello");
    // Longer than one segment of a builder, than a socket's buffer, and than all the room there is.
    let long: Vec<u8> = (0..9_000_000u32).map(|n| n as u8).collect();
    assert_eq!(say(&far, "echo", &long).await.unwrap(), long);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_says_whose_fault_it_is() {
    let rig = Rig::start().await;
    let error = say(&rig.line.bootstrap(), "throw", b"").await.unwrap_err();
    assert!(
        matches!(&error, RpcError::Overloaded(exception) if exception.reason.contains("on purpose")),
        "{error}"
    );
    assert_eq!((error.fault(), error.is_retryable()), (Fault::Callee, true));
    let error = soon(rig.line.bootstrap().call(TARGET, 77, Body::empty())).await.err().unwrap();
    assert!(matches!(&error, RpcError::Unimplemented(_)), "{error}");
    assert_eq!((error.fault(), error.is_retryable()), (Fault::Caller, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_an_answer_wait_for_no_round_trip() {
    let rig = Rig::start().await;
    let far = rig.line.bootstrap();
    let made = far.start(TARGET, CALL, ask("counter", b"", None)).await.unwrap();
    let counter = made.pipeline(PIPELINE);
    for n in 1..=3 {
        assert_eq!(say(&counter, "inc", b"").await.unwrap(), [n]);
    }
    // The same object, by the answer that is there.
    let settled = soon(made).await.unwrap().stub(PIPELINE).unwrap();
    assert_eq!(say(&settled, "inc", b"").await.unwrap(), [4]);
    drop(counter);
    assert_eq!(say(&settled.clone(), "inc", b"").await.unwrap(), [5]);
    assert!(rig.told.try_recv().is_err(), "it is released too early");
    drop(settled);
    assert_eq!(rig.told(), Told::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_be_pipelined_on_when_it_is_there() {
    let rig = Rig::start().await;
    let far = rig.line.bootstrap();
    let made = far.start(TARGET, CALL, ask("counter", b"", None)).await.unwrap();
    // Answers come in order, so this one is behind the other's.
    say(&far, "echo", b"").await.unwrap();
    let counter = made.pipeline(PIPELINE);
    let nothing = made.pipeline(&[0, 7]);
    drop(made);
    assert_eq!(say(&counter, "inc", b"").await.unwrap(), [1]);
    assert!(say(&nothing, "inc", b"").await.unwrap_err().to_string().contains("no capability there"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_call_cancels_it() {
    let rig = Rig::start().await;
    let far = rig.line.bootstrap();
    let hanging = far.start(TARGET, CALL, ask("hang", b"", None)).await.unwrap();
    assert_eq!(rig.told(), Told::Hangs);
    // A stub of its answer keeps it going.
    let of_answer = hanging.pipeline(PIPELINE);
    drop(hanging);
    say(&far, "echo", b"").await.unwrap();
    assert!(rig.told.try_recv().is_err(), "it is canceled too early");
    drop(of_answer);
    assert_eq!(rig.told(), Told::Canceled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_is_called_back() {
    let rig = Rig::start().await;
    let handler = rig.peer.serve(|call: Call| {
        let (method, said, _) = asked(&call);
        assert_eq!(method, "hello");
        // Answered later, from another thread.
        std::thread::spawn(move || call.respond(answer(&[said.as_slice(), b"!"].concat(), None)));
    });
    let answered = soon(rig.line.bootstrap().call(TARGET, CALL, ask("back", b"you", Some(&handler)))).await;
    assert_eq!(bytes(&answered.unwrap()), b"you!");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_fails_what_waits_for_it() {
    let peer = Peer::start(Settings::default());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let line = peer.connect(ours, "the far side", None).unwrap();
    let far = line.bootstrap();
    let waiting = far.start(TARGET, CALL, ask("echo", b"", None)).await.unwrap();
    drop(theirs);
    let error = soon(waiting).await.err().unwrap();
    assert!(matches!(&error, RpcError::Disconnected(_)), "{error}");
    assert_eq!((error.fault(), error.is_retryable()), (Fault::Way, true));
    assert!(error.to_string().contains("the far side"), "{error}");
    assert!(soon(line.closed()).await.reason.contains("the far side"));
    // And so does what comes after it.
    assert!(matches!(say(&far, "echo", b"").await, Err(RpcError::Disconnected(_))));
    assert!(matches!(say(&line.bootstrap(), "echo", b"").await, Err(RpcError::Disconnected(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_peer_says_so() {
    let rig = Rig::start().await;
    let far = rig.line.bootstrap();
    let waiting = far.start(TARGET, CALL, ask("hang", b"", None)).await.unwrap();
    assert_eq!(rig.told(), Told::Hangs);
    rig.peer.close();
    assert!(matches!(soon(waiting).await, Err(RpcError::Ended)));
    soon(rig.peer.ended()).await;
    assert!(matches!(say(&far, "echo", b"").await, Err(RpcError::Ended)));
    assert_eq!((rig.told(), rig.told()), (Told::Canceled, Told::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_ends_with_its_last_handle() {
    let Rig { peer, line, told } = Rig::start().await;
    let far = line.bootstrap();
    drop((peer, line));
    assert_eq!(say(&far, "echo", b"still").await.unwrap(), b"still");
    drop(far);
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Told::Closed);
}

#[test]
fn without_a_runtime_every_call_fails() {
    let peer = Peer::start(Settings::default());
    let stub = peer.serve(|call: Call| call.unimplemented());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let called = runtime.block_on(stub.call(TARGET, CALL, Body::empty()));
    assert!(matches!(called, Err(RpcError::Ended)));
}

#[tokio::test(flavor = "multi_thread")]
async fn stubs_of_two_peers_do_not_meet() {
    let (one, other) = (Rig::start().await, Rig::start().await);
    let (far, foreign) = (one.line.bootstrap(), other.line.bootstrap());
    let called = far.call(TARGET, CALL, ask("return", b"", Some(&foreign)));
    assert!(matches!(soon(called).await, Err(RpcError::Foreign)));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_from_several_threads_leave_nothing() {
    let rig = Rig::start().await;
    let far = rig.line.bootstrap();
    say(&far, "echo", b"").await.unwrap();
    let (before, sizes) = (rig.peer.inventory().await.unwrap(), rig.line.sizes().await.unwrap());
    let handler = rig.peer.serve(|call: Call| call.respond(answer(b"", None)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (far, handler) = (far.clone(), handler.clone());
        tasks.spawn(async move {
            for n in 0..250u32 {
                assert_eq!(say(&far, "echo", &n.to_le_bytes()).await.unwrap(), n.to_le_bytes());
                soon(far.call(TARGET, CALL, ask("back", b"", Some(&handler)))).await.unwrap();
                let made = far.start(TARGET, CALL, ask("counter", b"", None)).await.unwrap();
                assert_eq!(say(&made.pipeline(PIPELINE), "inc", b"").await.unwrap(), [1]);
                // Dropped before its answer.
                drop(far.start(TARGET, CALL, ask("echo", b"", None)).await.unwrap());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    drop(handler);
    // The far side gives back what it was given when it gets to it.
    soon(async {
        while rig.peer.inventory().await.unwrap() != before || rig.line.sizes().await.unwrap() != sizes {
            say(&far, "echo", b"").await.unwrap();
        }
    })
    .await;
}
