//! Calls, questions and answers: how they pass, and when their ids are free.

use crate::support::script::{Cap, Net, Outcome, Said, answer, import};

const HIGH: u32 = 1 << 31;

#[test]
fn a_call_its_answer_and_its_end_pass_with_their_payload() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(17, import(id)).marker(42).send();
    let called = b.expect_call();
    assert_eq!((called.to.clone(), called.marker), (import(5), 42));
    assert_eq!((called.interface, called.method), (0x1122_3344_5566_7788, 7));
    b.results(called.question).marker(43).send();
    a.expect_outcome(17, Outcome::Results { marker: 43, caps: vec![] });
    a.finish(17);
    b.expect_finish(called.question, false);
    a.release(id, 1);
    assert_eq!(a.sizes().exports, 0);
    a.hang_up("done");
    b.expect_release(5, 1);
    net.empty(&[&a, &b]);
    assert_eq!(net.engine().totals(), (0, 0));
}

#[test]
fn an_exception_passes_whole() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    b.ret(question, |ret| {
        let mut exception = ret.reborrow().init_exception();
        exception.set_reason("remote.jsg.TypeError: bad type");
        exception.set_trace("at far away");
        exception.set_type(jackfield::schema::rpc_capnp::exception::Type::Overloaded);
        let mut detail = exception.init_details(1).get(0);
        detail.set_detail_id(0xe802_7292_171b_1646);
        detail.set_data(b"the error itself");
    });
    let exception = a.expect_exception(1);
    assert_eq!(exception.reason, "remote.jsg.TypeError: bad type");
    assert_eq!(exception.trace, "at far away");
    assert_eq!(exception.kind, jackfield::wire::exception::Kind::Overloaded);
    assert_eq!(exception.details, [(0xe802_7292_171b_1646, b"the error itself".to_vec())]);
}

#[test]
fn a_call_for_its_pipeline_alone_gets_no_return() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(HIGH + 7, import(id)).only_pipeline().send();
    let called = b.expect_call();
    assert!(called.only_pipeline && called.question >= HIGH, "{called:?}");
    a.call(1, answer(HIGH + 7, &[0])).send();
    let pipelined = b.expect_call();
    assert_eq!(pipelined.to, answer(called.question, &[0]));
    b.results(called.question).send();
    a.silent();
    a.finish(HIGH + 7);
    b.expect_finish(called.question, true);
    a.silent();
    b.results(pipelined.question).send();
    a.expect_results(1);
    a.finish(1);
    b.expect_finish(pipelined.question, false);
    assert_eq!((a.sizes().answers, b.sizes().questions), (0, 0));
}

#[test]
fn ids_of_calls_for_their_pipeline_alone_go_round() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    let mut seen = Vec::new();
    for _ in 0..3 {
        a.call(HIGH, import(id)).only_pipeline().send();
        seen.push(b.expect_call().question);
        a.finish(HIGH);
        assert!(matches!(b.next(), Said::Finish { .. }));
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "an id was used again at once: {seen:?}");
}

#[test]
fn a_pipeline_only_call_that_fails_is_not_answered() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    b.hang_up("gone");
    a.call(HIGH, import(id)).only_pipeline().send();
    a.silent();
    a.call(1, answer(HIGH, &[0])).send();
    assert!(a.expect_exception(1).reason.contains("gone"));
    a.finish(HIGH);
    a.finish(1);
    a.silent();
}

#[test]
fn hints_of_a_call() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).no_pipelining().third_party_tail().send();
    let called = b.expect_call();
    assert!(called.no_pipelining, "it travels");
    assert!(!called.third_party_tail, "it is cleared");
}

#[test]
fn a_question_id_is_free_after_return_and_finish() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    for _ in 0..3 {
        a.call(1, import(id)).send();
        let question = b.expect_call().question;
        assert_eq!(question, 0, "ours is taken again too");
        b.results(question).send();
        a.expect_results(1);
        a.finish(1);
        b.expect_finish(question, false);
    }
}

#[test]
fn a_question_id_in_use_ends_the_connection() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    a.call(1, import(id)).send();
    a.expect_abort();
    b.expect_finish(question, true);
}

#[test]
fn a_return_that_wants_no_finish_frees_the_question_at_once() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    b.results(question).no_finish().send();
    assert!(a.expect_return().no_finish);
    assert_eq!((a.sizes().answers, b.sizes().questions), (0, 0));
    a.finish(1);
    b.silent();
    a.call(2, answer(1, &[0])).send();
    a.expect_exception(2);
}

#[test]
fn a_finish_may_cross_a_return_that_wants_none() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    a.finish(1);
    b.expect_finish(question, true);
    b.results(question).no_finish().send();
    a.expect_outcome(1, Outcome::Canceled);
    assert_eq!((a.sizes().answers, b.sizes().questions), (0, 0));
}

#[test]
fn a_finish_for_nothing_is_ignored() {
    let net = Net::new();
    let a = net.peer("a");
    a.finish(77);
    a.silent();
    net.no_event();
}

#[test]
fn a_call_on_no_answer_fails_alone() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, answer(99, &[0])).send();
    assert!(a.expect_exception(1).reason.contains("returned no capabilities or was closed"));
    a.call(2, import(id)).send();
    b.expect_call();
}

#[test]
fn a_return_after_finish_is_forwarded_as_canceled_and_not_counted() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    a.finish(1);
    b.expect_finish(question, true);
    a.silent();
    b.results(question).with(Cap::Mine(8)).send();
    a.expect_outcome(1, Outcome::Canceled);
    b.silent();
    assert_eq!((a.sizes().answers, b.sizes().questions, b.sizes().imports), (0, 0, 1));
}

#[test]
fn canceled_is_passed_on_only_after_a_finish() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    a.finish(1);
    b.expect_finish(question, true);
    b.canceled(question);
    a.expect_outcome(1, Outcome::Canceled);

    a.call(2, import(id)).send();
    let question = b.expect_call().question;
    b.canceled(question);
    b.expect_abort();
    a.expect_exception(2);
}

#[test]
fn an_answer_in_use_elsewhere_outlives_its_callers_finish() {
    let net = Net::new();
    let (b, c) = (net.peer("b"), net.peer("c"));
    let cap = net.obtain(&b, 5);
    let other = net.obtain(&c, 6);
    let a = net.peer_with("a", Some(cap));
    let id = a.get_bootstrap();
    // Both targets are of the same caller: the second comes to it in an answer.
    a.call(1, import(id)).send();
    let first = b.expect_call().question;
    let d = net.peer_with("d", Some(other));
    let c_at_d = d.get_bootstrap();
    // A's unanswered question becomes a capability at C, which A passes along D's target.
    a.call(2, import(id)).with(Cap::YourAnswer(1, vec![0])).send();
    assert_eq!(b.expect_call().caps, [Cap::YourAnswer(first, vec![0])], "back home, unresolved");
    d.call(1, import(c_at_d)).send();
    c.expect_call();
    a.finish(1);
    b.expect_finish(first, true);
    b.canceled(first);
    a.expect_outcome(1, Outcome::Canceled);
}

#[test]
fn finish_upstream_waits_for_a_capability_of_the_unanswered_question() {
    let net = Net::new();
    let (b, c) = (net.peer("b"), net.peer("c"));
    let (a, to_b) = net.give(&b, 5, "a");
    // A learns C's capability from B, which got it from the host.
    let cap = net.obtain(&c, 6);
    let c_at_b = net.hand(&b, cap);
    a.call(1, import(to_b)).send();
    let question = b.expect_call().question;
    b.results(question).with(Cap::Yours(c_at_b)).send();
    let [Cap::Mine(to_c)] = a.expect_results(1)[..] else { panic!("no capability") };
    a.finish_keep(1);
    b.expect_finish(question, false);

    a.call(2, import(to_b)).send();
    let open = b.expect_call().question;
    a.call(3, import(to_c)).with(Cap::YourAnswer(2, vec![0])).send();
    let call = c.expect_call();
    let [Cap::MyPromise(promise)] = call.caps[..] else { panic!("no promise: {call:?}") };
    a.finish(2);
    a.expect_outcome(2, Outcome::Canceled);
    b.silent();
    c.call(1, import(promise)).marker(9).send();
    assert_eq!(b.expect_call().to, answer(open, &[0]));
    c.release(promise, 1);
    b.expect_finish(open, true);
    b.canceled(open);
    a.silent();
    c.silent();
}

#[test]
fn our_own_finish_asks_for_no_workaround_and_a_forwarded_one_keeps_the_callers_bit() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    for workaround in [true, false] {
        a.call(1, import(id)).send();
        b.expect_call();
        a.say(|message| {
            let mut finish = message.init_finish();
            finish.set_question_id(1);
            finish.set_require_early_cancellation_workaround(workaround);
        });
        assert_eq!(b.next(), Said::Finish { question: 0, release: true, workaround });
        b.canceled(0);
        a.expect_outcome(1, Outcome::Canceled);
    }
    a.call(1, import(id)).send();
    b.expect_call();
    a.hang_up("gone");
    assert_eq!(b.next(), Said::Finish { question: 0, release: true, workaround: false });
}

#[test]
fn results_are_released_upstream_only_if_no_return_was_seen() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    b.expect_call();
    b.results(0).with(Cap::Mine(8)).send();
    let caps = a.expect_results(1);
    assert_eq!(caps.len(), 1);
    a.finish(1);
    let said = [b.next(), b.next()];
    assert!(said.contains(&Said::Release { id: 8, count: 1 }), "{said:?}");
    assert!(said.contains(&Said::Finish { question: 0, release: false, workaround: true }), "{said:?}");
}
