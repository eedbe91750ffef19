//! Calls arrive in the order in which they were made, also where an answer turns out to be elsewhere.

use std::sync::{Arc, Mutex};

use jackfield::net::local::{Call, Peer, Settings};

use super::callers::{Rig, connect};
use super::far::{CALL, PIPELINE, TARGET, answer, ask, asked, bytes, soon};

/// Calls along an answer to come: they go to the far side, which sends them on.
const ALONG: u8 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_back_are_not_overtaken() {
    let rig = Rig::start().await;
    let far = rig.line.bootstrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let ours = rig.peer.serve(move |call: Call| {
        record.lock().unwrap().extend(asked(&call).1);
        call.respond(answer(b"", None));
    });
    let returned = far.start(TARGET, CALL, ask("return", b"", Some(&ours))).await.unwrap();
    let along = returned.pipeline(PIPELINE);
    let mut answers = Vec::new();
    for n in 0..ALONG {
        answers.push(along.start(TARGET, CALL, ask("note", &[n], None)).await.unwrap());
    }
    let settled = soon(returned).await.unwrap().stub(PIPELINE).unwrap();
    // From here on both ways are one.
    for n in (ALONG..2 * ALONG).step_by(2) {
        answers.push(settled.start(TARGET, CALL, ask("note", &[n], None)).await.unwrap());
        answers.push(along.start(TARGET, CALL, ask("note", &[n + 1], None)).await.unwrap());
    }
    for answer in answers {
        soon(answer).await.unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), (0..2 * ALONG).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_go_to_a_third_are_not_overtaken() {
    let rig = Rig::start().await;
    let (third, _told) = connect(&rig.peer);
    let made = soon(third.bootstrap().call(TARGET, CALL, ask("counter", b"", None))).await.unwrap();
    let counter = made.stub(PIPELINE).unwrap();
    let far = rig.line.bootstrap();
    let returned = far.start(TARGET, CALL, ask("return", b"", Some(&counter))).await.unwrap();
    let along = returned.pipeline(PIPELINE);
    let mut answers = Vec::new();
    for _ in 0..ALONG {
        answers.push(along.start(TARGET, CALL, ask("inc", b"", None)).await.unwrap());
    }
    let settled = soon(returned).await.unwrap().stub(PIPELINE).unwrap();
    for _ in 0..ALONG {
        answers.push(settled.start(TARGET, CALL, ask("inc", b"", None)).await.unwrap());
        answers.push(along.start(TARGET, CALL, ask("inc", b"", None)).await.unwrap());
    }
    for (n, answer) in (1..).zip(answers) {
        assert_eq!(bytes(&soon(answer).await.unwrap()), [n]);
    }
}

/// As it happens to any that the task has not come to when the answer arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_stub_that_is_first_used_after_the_answer_is_not_overtaken() {
    let rig = Rig::start().await;
    let (third, _told) = connect(&rig.peer);
    let made = soon(third.bootstrap().call(TARGET, CALL, ask("counter", b"", None))).await.unwrap();
    let counter = made.stub(PIPELINE).unwrap();
    let far = rig.line.bootstrap();
    let returned = far.start(TARGET, CALL, ask("return", b"", Some(&counter))).await.unwrap();
    let along = returned.pipeline(PIPELINE);
    let settled = soon(returned).await.unwrap().stub(PIPELINE).unwrap();
    let mut answers = Vec::new();
    for _ in 0..ALONG {
        answers.push(along.start(TARGET, CALL, ask("inc", b"", None)).await.unwrap());
        answers.push(settled.start(TARGET, CALL, ask("inc", b"", None)).await.unwrap());
    }
    for (n, answer) in (1..).zip(answers) {
        assert_eq!(bytes(&soon(answer).await.unwrap()), [n]);
    }
}

/// A handler says what its answer will have before it answers: calls that wait for it go on, in order, and those for
/// something else in the answer stay.
#[tokio::test(flavor = "multi_thread")]
async fn calls_along_an_answer_need_not_wait_for_it() {
    let peer = Peer::start(Settings::default());
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (record, maker) = (seen.clone(), peer.clone());
    let (make, mut made) = tokio::sync::mpsc::channel(1);
    let main = peer.serve(move |call: Call| {
        let record = record.clone();
        let early = maker.serve(move |call: Call| {
            record.lock().unwrap().extend(asked(&call).1);
            call.respond(answer(b"", None));
        });
        call.lead(PIPELINE, &early);
        make.try_send((call, early)).unwrap();
    });
    let _line = peer.connect(ours, "a client", Some(main)).unwrap();
    let far = Peer::start(Settings::default());
    let main = far.connect(theirs, "ours", None).unwrap().bootstrap();
    let asking = main.start(TARGET, CALL, ask("ask", b"", None)).await.unwrap();
    let (early, other) = (asking.pipeline(PIPELINE), asking.pipeline(&[7]));
    let mut calls = Vec::new();
    for n in 0..ALONG {
        calls.push(early.start(TARGET, CALL, ask("note", &[n], None)).await.unwrap());
    }
    let waits = other.start(TARGET, CALL, ask("note", &[99], None)).await.unwrap();
    let (unanswered, early_here) = soon(made.recv()).await.unwrap();
    for call in calls {
        soon(call).await.unwrap();
    }
    // After the first have been answered, and after the answer itself.
    soon(early.call(TARGET, CALL, ask("note", &[ALONG], None))).await.unwrap();
    unanswered.respond(answer(b"done", Some(&early_here)));
    assert_eq!(bytes(&soon(asking).await.unwrap()), b"done");
    soon(early.call(TARGET, CALL, ask("note", &[ALONG + 1], None))).await.unwrap();
    assert!(soon(waits).await.is_err(), "there is nothing at that path");
    assert_eq!(*seen.lock().unwrap(), (0..ALONG + 2).collect::<Vec<_>>());
    drop((early, early_here, other, main));
    soon(async { while peer.inventory().await.unwrap().handlers > 1 {} }).await;
}
