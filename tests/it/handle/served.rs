//! Our handlers, called by a capnp-rpc client.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{SyncSender, sync_channel};

use jackfield::net::local::{Body, Call, Connection, Handler, Peer, Settings};
use jackfield::wire::build::{self, Content};
use jackfield::wire::exception::{Exception, Kind};
use jackfield::wire::message::Target;
use tokio::sync::mpsc;

use super::callers::connect;
use super::far::{self, DEADLINE, Told, answer, asked, client, request, soon};

fn listen(peer: &Peer, handler: impl Handler) -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let line = peer.connect(ours, "a client", Some(peer.serve(handler))).unwrap();
    (line, theirs)
}

/// Hands its calls to the test, and says when it is dropped.
struct Hands(mpsc::Sender<Call>, SyncSender<()>);

impl Handler for Hands {
    fn call(&mut self, call: Call) {
        self.0.try_send(call).unwrap();
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.1.send(()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_answers_with_objects_of_its_own() {
    let peer = Peer::start(Settings::default());
    let maker = peer.clone();
    let (line, theirs) = listen(&peer, move |call: Call| {
        let mut count = 0;
        let counter = maker.serve(move |call: Call| {
            count += 1;
            call.respond(answer(&[count], None));
        });
        call.respond(answer(b"made", Some(&counter)));
    });
    let counts = client(theirs, |target| async move {
        let made = request(&target, "make", b"").send();
        let counter = made.pipeline.get_call_pipeline();
        let first = far::call(&counter, "inc", b"").await.unwrap();
        let settled = made.promise.await.unwrap().get().unwrap().get_call_pipeline().unwrap();
        [first, far::call(&settled, "inc", b"").await.unwrap()]
    });
    assert_eq!(counts.await, [[1], [2]]);
    soon(line.closed()).await;
    assert_eq!(peer.inventory().await.unwrap(), Default::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_arrive_as_they_are() {
    let peer = Peer::start(Settings::default());
    let (_line, theirs) = listen(&peer, |call: Call| match asked(&call).0.as_str() {
        "drop" => drop(call),
        "overload" => call.fail(Exception::new(Kind::Overloaded, "full")),
        _ => call.unimplemented(),
    });
    let errors = client(theirs, |target| async move {
        let mut errors = Vec::new();
        for method in ["drop", "overload", "what"] {
            let error = far::call(&target, method, b"").await.unwrap_err();
            errors.push((error.kind, error.extra));
        }
        errors
    });
    let errors = errors.await;
    let kinds: Vec<_> = errors.iter().map(|(kind, _)| *kind).collect();
    use capnp::ErrorKind::{Failed, Overloaded, Unimplemented};
    assert_eq!(kinds, [Failed, Overloaded, Unimplemented]);
    assert!(errors[0].1.contains("without an answer"), "{errors:?}");
    assert!(errors[1].1.contains("full"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_learns_that_its_caller_gave_up() {
    let peer = Peer::start(Settings::default());
    let ((send, mut calls), (dropped, is_dropped)) = (mpsc::channel(8), sync_channel(8));
    let (line, theirs) = listen(&peer, Hands(send, dropped));
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let caller = tokio::spawn(client(theirs, |target| async move {
        let given_up = request(&target, "one", b"").send();
        let left = request(&target, "two", b"").send();
        wait.await.unwrap();
        drop(given_up);
        // Its answer shows that the other side has seen the end of the first.
        far::call(&target, "three", b"").await.unwrap();
        drop(left);
    }));
    let (one, two) = (soon(calls.recv()).await.unwrap(), soon(calls.recv()).await.unwrap());
    assert!(!one.canceled().is_cancelled());
    go.send(()).unwrap();
    soon(one.canceled().cancelled()).await;
    assert!(!two.canceled().is_cancelled());
    // Not heard.
    one.respond(Body::empty());
    soon(calls.recv()).await.unwrap().respond(answer(b"", None));
    soon(caller).await.unwrap();
    // And that it has gone.
    soon(two.canceled().cancelled()).await;
    soon(line.closed()).await;
    is_dropped.recv_timeout(DEADLINE).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_forwarded_from_one_connection_to_another() {
    let peer = Peer::start(Settings::default());
    let (upstream, told) = connect(&peer);
    let target = upstream.bootstrap();
    let (_line, theirs) = listen(&peer, move |call: Call| match asked(&call).0.as_str() {
        "throw" => {
            let target = target.clone();
            // At leisure.
            std::thread::spawn(move || call.forward(&target));
        }
        _ => call.forward(&target),
    });
    let long: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    let echoed = client(theirs, |target| async move {
        let made = request(&target, "counter", b"").send();
        let counter = made.pipeline.get_call_pipeline();
        for n in 1..4 {
            assert_eq!(far::call(&counter, "inc", b"").await.unwrap(), [n]);
        }
        let error = far::call(&target, "throw", b"").await.unwrap_err();
        assert_eq!(error.kind, capnp::ErrorKind::Overloaded);
        far::call(&target, "echo", &long).await.unwrap() == long
    });
    assert!(echoed.await);
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Told::Released);
    assert_eq!(peer.inventory().await.unwrap().held, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_of_one_connection_work_on_the_other() {
    let peer = Peer::start(Settings::default());
    let (upstream, _told) = connect(&peer);
    let target = upstream.bootstrap();
    // The client gives us an object of its own, and the upstream calls it.
    let (_line, theirs) = listen(&peer, move |call: Call| {
        let (_, said, given) = asked(&call);
        let (target, given) = (target.clone(), given.unwrap());
        tokio::spawn(async move {
            let answered = target.call(far::TARGET, far::CALL, far::ask("back", &said, Some(&given))).await;
            match answered {
                Ok(answered) => call.respond(answer(&far::bytes(&answered), None)),
                Err(error) => call.fail(error.into_exception()),
            }
        });
    });
    let answered = client(theirs, |target| async move {
        let mut request = request(&target, "relay", b"through two");
        let own = far::greeter();
        request.get().init_results_stream_handler().set_external_pusher(own);
        let answered = request.send().promise.await.unwrap();
        answered.get().unwrap().get_result().unwrap().get_v8_serialized().unwrap().to_vec()
    });
    assert_eq!(answered.await, b"hello through two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answers_is_ended() {
    // With the answers, more than may be left unread.
    const CALLS: u32 = 140;
    let peer = Peer::start(Settings::default());
    let body = answer(&vec![0; 1 << 20], None);
    let (line, mut theirs) = listen(&peer, move |call: Call| call.respond(body.clone()));
    let mut out = Vec::new();
    build::bootstrap(&mut out, 0);
    let target = Target::Answer { question: 0, path: Default::default() };
    for question in 1..=CALLS {
        build::call(&mut out, question, &target, (far::TARGET, far::CALL), &Content::default(), &[]);
    }
    theirs.write_all(&out).unwrap();
    let reason = soon(line.closed()).await;
    assert!(reason.reason.contains("does not read the answers"), "{reason:?}");
}
