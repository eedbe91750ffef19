//! Tail calls: `sendResultsTo.yourself` and `takeFromOtherQuestion`.

use crate::support::script::{Cap, Net, Outcome, Peer, Said, answer, import};

/// A asked B question 1 (B's `outer`); B answers by a tail call to A's capability 3, its question 20, which A
/// knows as `inner`.
struct Tail {
    net: Net,
    a: Peer,
    b: Peer,
    outer: u32,
    inner: u32,
}

fn tail_call() -> Tail {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::Mine(3)).send();
    let called = b.expect_call();
    let [Cap::Mine(back)] = called.caps[..] else { panic!("no callback") };
    b.call(20, import(back)).redirected().marker(4).send();
    let inner = a.expect_call();
    assert!(!inner.yourself, "the result comes to us");
    assert_eq!((inner.to, inner.marker), (import(3), 4));
    Tail { net, a, b, outer: called.question, inner: inner.question }
}

impl Tail {
    fn wound_up(&self) {
        let (a, b) = (self.a.sizes(), self.b.sizes());
        assert_eq!((a.answers, a.questions, b.answers, b.questions), (0, 0, 0, 0));
    }
}

#[test]
fn the_result_goes_to_the_question_that_takes_it() {
    let tail = tail_call();
    let Tail { a, b, outer, inner, .. } = &tail;
    b.take_from(*outer, 20);
    b.expect_outcome(20, Outcome::Elsewhere);
    b.finish(20);
    a.silent();
    a.results(*inner).marker(77).send();
    a.expect_outcome(1, Outcome::Results { marker: 77, caps: vec![] });
    a.finish(1);
    a.expect_finish(*inner, false);
    b.expect_finish(*outer, false);
    tail.wound_up();
}

#[test]
fn a_result_that_came_first_waits_to_be_taken() {
    let tail = tail_call();
    let Tail { a, b, outer, inner, .. } = &tail;
    a.results(*inner).marker(77).with(Cap::Mine(9)).send();
    b.silent();
    a.silent();
    b.take_from(*outer, 20);
    b.expect_outcome(20, Outcome::Elsewhere);
    a.expect_outcome(1, Outcome::Results { marker: 77, caps: vec![Cap::Yours(9)] });
    b.finish(20);
    a.finish(1);
    let said = [a.next(), a.next()];
    assert!(said.contains(&Said::Release { id: 9, count: 1 }), "{said:?}");
    b.expect_finish(*outer, false);
    tail.wound_up();
}

#[test]
fn a_failure_reaches_the_taker_and_the_tail_caller_hears_what_it_always_hears() {
    for first in [true, false] {
        let tail = tail_call();
        let Tail { a, b, outer, inner, .. } = &tail;
        if first {
            a.throw(*inner, "no");
        }
        b.take_from(*outer, 20);
        b.expect_outcome(20, Outcome::Elsewhere);
        if !first {
            a.throw(*inner, "no");
        }
        assert_eq!(a.expect_exception(1).reason, "no");
        a.finish(1);
        b.finish(20);
        a.expect_finish(*inner, false);
        b.expect_finish(*outer, false);
        tail.wound_up();
    }
}

#[test]
fn a_result_that_nobody_takes_is_released_at_finish() {
    let tail = tail_call();
    let Tail { a, b, outer, inner, .. } = &tail;
    a.results(*inner).with(Cap::Mine(9)).send();
    b.finish(20);
    b.expect_outcome(20, Outcome::Elsewhere);
    let said = [a.next(), a.next()];
    assert!(said.contains(&Said::Release { id: 9, count: 1 }), "{said:?}");
    b.results(*outer).send();
    a.expect_results(1);
    a.finish(1);
    b.expect_finish(*outer, false);
    tail.wound_up();
}

#[test]
fn a_taker_that_is_gone_cancels_the_tail_call() {
    let tail = tail_call();
    let Tail { a, b, outer, inner, .. } = &tail;
    a.finish(1);
    b.expect_finish(*outer, true);
    b.take_from(*outer, 20);
    b.expect_outcome(20, Outcome::Elsewhere);
    let mut said = [a.next(), a.next()];
    said.sort_by_key(|said| matches!(said, Said::Return(_)));
    assert!(
        matches!(said[0], Said::Finish { question, release: true, .. } if question == *inner),
        "{said:?}"
    );
    assert!(matches!(&said[1], Said::Return(ret) if ret.outcome == Outcome::Canceled), "{said:?}");
    // The tail caller may ask something else under the same id before the answer comes.
    b.finish(20);
    b.silent();
    a.canceled(*inner);
    b.silent();
    tail.wound_up();
}

#[test]
fn an_id_that_was_taken_again_gets_no_answer_of_before() {
    let tail = tail_call();
    let Tail { net, a, b, outer, inner } = &tail;
    a.finish(1);
    b.expect_finish(*outer, true);
    b.take_from(*outer, 20);
    b.expect_outcome(20, Outcome::Elsewhere);
    b.finish(20);
    b.call(20, import(0)).marker(5).send();
    assert!(matches!(a.next(), Said::Return(_) | Said::Finish { .. }));
    assert!(matches!(a.next(), Said::Return(_) | Said::Finish { .. }));
    let again = a.expect_call();
    a.results(*inner).marker(1).send();
    b.silent();
    a.results(again.question).marker(2).send();
    b.expect_outcome(20, Outcome::Results { marker: 2, caps: vec![] });
    net.no_event();
}

#[test]
fn calls_along_a_taken_answer_go_the_long_way_until_it_is_there() {
    let tail = tail_call();
    let Tail { a, b, outer, inner, .. } = &tail;
    b.take_from(*outer, 20);
    b.expect_outcome(20, Outcome::Elsewhere);
    a.call(2, answer(1, &[0])).marker(6).send();
    let long = b.expect_call();
    assert_eq!(long.to, answer(*outer, &[0]));
    b.call(21, answer(20, &[0])).marker(6).send();
    let back = a.expect_call();
    assert_eq!((back.to, back.marker), (answer(*inner, &[0]), 6));
    a.results(*inner).with(Cap::Mine(9)).send();
    // A's own: A itself sees to the order.
    assert_eq!(a.expect_results(1), [Cap::Yours(9)]);
    a.sender_loopback(answer(1, &[0]), 5);
    let Said::SenderLoopback { to, id } = b.next() else { panic!("no Disembargo") };
    assert_eq!(to, answer(*outer, &[0]));
    b.receiver_loopback(answer(20, &[0]), id);
    let said = a.rest();
    assert!(matches!(said[..], [Said::ReceiverLoopback { id: 5, .. }]), "it does not come back: {said:?}");
}

#[test]
fn the_tail_caller_may_vanish_once_the_answer_is_taken() {
    let tail = tail_call();
    let Tail { net, a, b, outer, inner } = &tail;
    b.take_from(*outer, 20);
    b.expect_outcome(20, Outcome::Elsewhere);
    b.hang_up("gone");
    a.expect_release(3, 1);
    a.results(*inner).marker(77).send();
    a.expect_outcome(1, Outcome::Results { marker: 77, caps: vec![] });
    a.silent();
    a.finish(1);
    a.expect_finish(*inner, false);
    assert_eq!((a.sizes().answers, a.sizes().questions), (0, 0));
    let _ = net;
}

#[test]
fn a_tail_call_may_be_answered_by_a_tail_call() {
    let tail = tail_call();
    let Tail { net, a, b, outer, inner } = &tail;
    b.take_from(*outer, 20);
    b.expect_outcome(20, Outcome::Elsewhere);
    // A answers B's tail call by one of its own, to B's capability 5.
    a.call(30, import(0)).redirected().marker(8).send();
    let third = b.expect_call();
    assert_eq!(third.marker, 8);
    a.take_from(*inner, 30);
    a.expect_outcome(30, Outcome::Elsewhere);
    a.finish(30);
    b.finish(20);
    b.results(third.question).marker(9).send();
    a.expect_outcome(1, Outcome::Results { marker: 9, caps: vec![] });
    a.finish(1);
    a.expect_finish(*inner, false);
    let said = [b.next(), b.next()];
    assert!(said.iter().all(|said| matches!(said, Said::Finish { .. })), "{said:?}");
    assert!(said.contains(&Said::Finish { question: *outer, release: false, workaround: true }), "{said:?}");
    tail.wound_up();
    net.no_event();
}

#[test]
fn an_answer_can_be_taken_only_from_a_redirected_call() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    b.take_from(question, 99);
    b.expect_abort();
    a.expect_exception(1);
}

#[test]
fn a_redirected_call_for_its_pipeline_alone_is_an_ordinary_one() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1 << 31, import(id)).redirected().only_pipeline().send();
    let called = b.expect_call();
    assert!(!called.only_pipeline && called.question < 1 << 31, "{called:?}");
    b.results(called.question).send();
    a.finish(1 << 31);
    a.expect_outcome(1 << 31, Outcome::Elsewhere);
    b.expect_finish(called.question, false);
    net.no_event();
}
