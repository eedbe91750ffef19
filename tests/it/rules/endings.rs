//! What becomes of everything when a connection ends.

use jackfield::rpc::{Event, TableSizes};

use crate::support::script::{Cap, Net, Outcome, Said, answer, import};

#[test]
fn what_faces_a_survivor_stays_until_the_survivor_lets_go() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    b.expect_call();
    b.hang_up("the target has ended");
    let exception = a.expect_exception(1);
    assert_eq!(exception.kind, jackfield::wire::exception::Kind::Disconnected);
    assert!(exception.reason.contains("the target has ended"));
    a.silent();
    // Ids that A knows stay good: C++ ends a connection over one that it does not know.
    a.call(2, import(id)).send();
    assert!(a.expect_exception(2).reason.contains("the target has ended"));
    a.call(3, answer(1, &[0])).send();
    assert!(a.expect_exception(3).reason.contains("the target has ended"));
    for question in 1..=3 {
        a.finish(question);
    }
    a.release(id, 1);
    a.silent();
    assert_eq!(a.sizes(), TableSizes::default());
    assert!(matches!(net.event(), Event::Closed { hostile: false, .. }));
    net.no_event();
}

#[test]
fn entries_of_the_dead_side_go_at_once() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::Mine(3)).send();
    b.expect_call();
    b.hang_up("gone");
    assert_eq!(b.sizes(), TableSizes::default());
    let said = [a.next(), a.next()];
    assert!(said.contains(&Said::Release { id: 3, count: 1 }), "what B held of A's: {said:?}");
}

#[test]
fn an_unresolved_promise_resolves_once_to_an_exception() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    b.expect_call();
    b.results(0).with(Cap::MyPromise(7)).send();
    let [Cap::MyPromise(promise)] = a.expect_results(1)[..] else { panic!("no promise") };
    b.hang_up("gone");
    let Said::Resolve { promise: told, to: Err(reason) } = a.next() else { panic!("no Resolve") };
    assert_eq!(told, promise);
    assert!(reason.contains("gone"));
    a.silent();
    a.call(2, import(promise)).send();
    a.expect_exception(2);
    a.release(promise, 1);
}

#[test]
fn questions_of_a_dead_caller_are_finished_and_free_at_their_return() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    a.call(2, answer(1, &[0])).send();
    a.call(1 << 31, import(id)).only_pipeline().send();
    let (first, second, third) = (b.expect_call(), b.expect_call(), b.expect_call());
    a.hang_up("gone");
    let mut finished: Vec<u32> = std::iter::from_fn(|| b.maybe_next())
        .filter_map(|said| match said {
            Said::Finish { question, release: true, workaround: false } => Some(question),
            Said::Release { id: 5, count: 1 } => None,
            other => panic!("{other:?}"),
        })
        .collect();
    finished.sort_unstable();
    assert_eq!(finished, [first.question, second.question, third.question]);
    assert_eq!(b.sizes().questions, 2, "until they return");
    b.canceled(first.question);
    b.results(second.question).with(Cap::Mine(9)).send();
    b.silent();
    assert_eq!(b.sizes(), TableSizes::default());
}

#[test]
fn a_dead_callers_slot_gets_no_answer_of_before() {
    let net = Net::new();
    let b = net.peer("b");
    let cap = net.obtain(&b, 5);
    let kept = net.engine().retain(&cap);
    let a = net.peer_with("a", Some(cap));
    let id = a.get_bootstrap();
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    a.hang_up("gone");
    b.expect_finish(question, true);
    net.engine().forget(a.conn);
    let again = net.peer_with("again", Some(kept));
    assert_eq!(again.conn, a.conn, "the slot is used again");
    let id = again.get_bootstrap();
    again.call(1, import(id)).send();
    let called = b.expect_call();
    assert_ne!(called.question, question, "an id is not free before its Return");
    b.results(question).marker(1).send();
    again.silent();
    b.results(called.question).marker(2).send();
    again.expect_outcome(1, Outcome::Results { marker: 2, caps: vec![] });
}

#[test]
fn a_disembargo_whose_way_breaks_comes_back() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::Mine(3)).send();
    let called = b.expect_call();
    a.call(2, answer(1, &[0])).send();
    b.expect_call();
    b.results(called.question).with(Cap::Yours(0)).send();
    assert_eq!(a.expect_results(1), [Cap::Yours(3)]);
    a.sender_loopback(answer(1, &[0]), 77);
    assert!(matches!(b.next(), Said::SenderLoopback { .. }));
    b.hang_up("gone");
    let said: Vec<Said> = std::iter::from_fn(|| a.maybe_next()).collect();
    assert!(said.iter().any(|said| matches!(said, Said::ReceiverLoopback { id: 77, .. })), "{said:?}");
}

#[test]
fn an_abort_ends_the_connection_and_is_not_answered() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    b.say(|message| message.init_abort().set_reason("enough"));
    b.silent();
    let Event::Closed { hostile, reason, .. } = net.event() else { panic!("not closed") };
    assert_eq!((hostile, reason.reason.as_str()), (false, "enough"));
    a.call(1, import(id)).send();
    assert_eq!(a.expect_exception(1).reason, "enough");
}

#[test]
fn a_capability_between_two_upstreams_breaks_with_its_home() {
    let net = Net::new();
    let (b, c) = (net.peer("b"), net.peer("c"));
    let (a, to_b) = net.give(&b, 5, "a");
    let to_c = net.introduce(&c, 6, &a, to_b, &b);
    a.call(1, import(to_b)).with(Cap::Yours(to_c)).send();
    let [Cap::Mine(c_at_b)] = b.expect_call().caps[..] else { panic!("no capability") };
    c.hang_up("gone");
    b.call(1, import(c_at_b)).send();
    assert!(b.expect_exception(1).reason.contains("gone"));
    a.call(2, import(to_b)).send();
    b.expect_call();
}
