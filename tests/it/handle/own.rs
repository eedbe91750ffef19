//! Objects of one process among themselves, and the room that calls share.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jackfield::net::local::{Body, Call, Peer, RpcError, Settings, Stub};
use tokio::sync::mpsc;

use super::far::{CALL, DEADLINE, PIPELINE, TARGET, answer, ask, asked, say, soon};

fn counter(peer: &Peer) -> Stub {
    let mut count = 0;
    peer.serve(move |call: Call| {
        count += 1;
        call.respond(answer(&[count], None));
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn own_objects_call_each_other() {
    let peer = Peer::start(Settings::default());
    let maker = peer.clone();
    let make = peer.serve(move |call: Call| call.respond(answer(b"", Some(&counter(&maker)))));
    let to = make.clone();
    let forwarder = peer.serve(move |call: Call| call.forward(&to));
    let made = forwarder.start(TARGET, CALL, ask("make", b"", None)).await.unwrap();
    let counter = made.pipeline(PIPELINE);
    assert_eq!(say(&counter, "inc", b"").await.unwrap(), [1]);
    let settled = soon(made).await.unwrap().stub(PIPELINE).unwrap();
    assert_eq!(say(&settled, "inc", b"").await.unwrap(), [2]);
    assert_eq!(peer.inventory().await.unwrap().handlers, 3);
    drop((make, forwarder, counter, settled));
    // A handler that goes may give back another, which then goes too.
    soon(async { while peer.inventory().await.unwrap() != Default::default() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_call_is_canceled_and_given_back() {
    let peer = Peer::start(Settings::default());
    let (send, mut calls) = mpsc::channel(8);
    let hold = peer.serve(move |call: Call| send.try_send(call).unwrap());
    let call = hold.start(TARGET, CALL, ask("hold", b"", Some(&counter(&peer)))).await.unwrap();
    let held = soon(calls.recv()).await.unwrap();
    let given = asked(&held).2.unwrap();
    assert_eq!(say(&given, "inc", b"").await.unwrap(), [1]);
    drop(call);
    soon(held.canceled().cancelled()).await;
    // Its parameters are still there, and what is forwarded now goes nowhere.
    assert_eq!(asked(&held).0, "hold");
    held.forward(&given);
    assert_eq!(say(&given, "inc", b"").await.unwrap(), [2]);
    drop((given, hold));
    soon(async { while peer.inventory().await.unwrap() != Default::default() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_leaves_nobody_waiting() {
    let peer = Peer::start(Settings::default());
    let broken = peer.serve(|_: Call| panic!("on purpose"));
    assert!(matches!(soon(broken.call(TARGET, CALL, Body::empty())).await, Err(RpcError::Ended)));
    soon(peer.ended()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_for_a_far_side_that_reads_slowly() {
    const CALLS: usize = 32;
    const EACH: usize = 1 << 20;
    // The room of 4 MiB, the quarter that is unwritten before it counts, a socket's buffer, and the call that ends each.
    const AHEAD: usize = 8 << 20;
    let peer = Peer::start(Settings::default());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(DEADLINE)).unwrap();
    let far = peer.connect(ours, "a slow reader", None).unwrap().bootstrap();
    let started = Arc::new(AtomicUsize::new(0));
    let count = started.clone();
    let caller = tokio::spawn(async move {
        let body = ask("write", &vec![0; EACH], None);
        let mut calls = Vec::new();
        for _ in 0..CALLS {
            calls.push(far.start(TARGET, CALL, body.clone()).await.unwrap());
            count.fetch_add(1, Ordering::SeqCst);
        }
        calls
    });
    // As much is under way as there is room for.
    soon(async { while peer.inventory().await.unwrap().questions < 4 {} }).await;
    let reader = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; 64 << 10];
        let mut read = 0;
        while read < CALLS * EACH {
            let ahead = started.load(Ordering::SeqCst) * EACH;
            assert!(ahead <= read + AHEAD, "{ahead} bytes were started and {read} read");
            read += theirs.read(&mut bytes).unwrap();
        }
        theirs
    });
    let (calls, _theirs) = (soon(caller).await.unwrap(), soon(reader).await.unwrap());
    assert_eq!(calls.len(), CALLS);
}
