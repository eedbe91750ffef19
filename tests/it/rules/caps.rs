//! Capabilities: where they live, how they are counted.

use crate::support::script::{Cap, Net, Outcome, Peer, Said, answer, import};

/// B's capability 5 at A; A's capability 3 in a call of B's hands, at the id that comes back.
fn callback(net: &Net) -> (Peer, Peer, u32, u32) {
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::Mine(3)).send();
    let called = b.expect_call();
    let [Cap::Mine(back)] = called.caps[..] else { panic!("no callback: {called:?}") };
    b.results(called.question).send();
    a.expect_results(1);
    a.finish(1);
    b.expect_finish(called.question, false);
    (a, b, id, back)
}

#[test]
fn a_callback_calls_back_and_calls_back() {
    let net = Net::new();
    let (a, b, _, back) = callback(&net);
    b.call(4, import(back)).with(Cap::Mine(6)).marker(1).send();
    let called = a.expect_call();
    assert_eq!(called.to, import(3));
    let [Cap::Mine(again)] = called.caps[..] else { panic!("{called:?}") };
    a.call(9, import(again)).marker(2).send();
    let inner = b.expect_call();
    assert_eq!((inner.to, inner.marker), (import(6), 2));
    b.results(inner.question).send();
    a.expect_results(9);
    a.finish(9);
    b.expect_finish(inner.question, false);
    a.results(called.question).send();
    b.expect_results(4);
}

#[test]
fn a_capability_comes_home_as_the_receivers_own() {
    let net = Net::new();
    let (a, b, id, back) = callback(&net);
    // As a parameter, and in results.
    b.call(1, import(back)).with(Cap::Yours(back)).with(Cap::Mine(5)).send();
    let called = a.expect_call();
    assert_eq!(called.caps, [Cap::Yours(3), Cap::Mine(id)]);
    a.results(called.question).with(Cap::Yours(id)).send();
    assert_eq!(b.expect_results(1), [Cap::Yours(5)]);
}

#[test]
fn an_unanswered_question_comes_home_as_the_receivers_answer() {
    let net = Net::new();
    let (a, b, id, back) = callback(&net);
    a.call(7, import(id)).send();
    let open = b.expect_call().question;
    a.call(8, import(id)).with(Cap::YourAnswer(7, vec![2])).send();
    let called = b.expect_call();
    assert_eq!(called.caps, [Cap::YourAnswer(open, vec![2])]);
    // A capability table of a Return may name a question of the side that returns.
    b.call(1, import(back)).send();
    let from_b = a.expect_call().question;
    a.results(from_b).with(Cap::YourAnswer(8, vec![0, 1])).send();
    assert_eq!(b.expect_results(1), [Cap::YourAnswer(called.question, vec![0, 1])]);
}

#[test]
fn an_answer_of_ours_named_as_the_receivers_is_what_it_leads_to() {
    let net = Net::new();
    let b = net.peer("b");
    let cap = net.obtain(&b, 5);
    let a = net.peer_with("a", Some(cap));
    a.bootstrap(0);
    let [Cap::Mine(id)] = a.expect_results(0)[..] else { panic!("no capability") };
    a.call(1, answer(0, &[])).with(Cap::YourAnswer(0, vec![])).with(Cap::Yours(id)).send();
    let called = b.expect_call();
    assert_eq!((called.to, called.caps), (import(5), vec![Cap::Yours(5), Cap::Yours(5)]));
}

#[test]
fn an_import_is_released_with_as_many_references_as_came() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::Mine(3)).table([Cap::Mine(3), Cap::Null]).send();
    let called = b.expect_call();
    assert_eq!(called.caps, [Cap::Mine(0), Cap::Mine(0), Cap::Null]);
    a.call(2, import(id)).with(Cap::Mine(3)).send();
    assert_eq!(b.expect_call().caps, [Cap::Mine(0)]);
    b.release(0, 2);
    a.silent();
    b.release(0, 1);
    assert_eq!(a.next(), Said::Release { id: 3, count: 3 });
    assert_eq!((a.sizes().imports, b.sizes().exports), (0, 0));
}

#[test]
fn one_return_may_list_the_same_id_twice() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    b.expect_call();
    b.results(0).with(Cap::Mine(8)).table([Cap::Mine(8)]).send();
    let caps = a.expect_results(1);
    let [Cap::Mine(first), Cap::Mine(second)] = caps[..] else { panic!("{caps:?}") };
    assert_eq!(first, second);
    a.finish_keep(1);
    b.expect_finish(0, false);
    a.release(first, 1);
    b.silent();
    a.release(first, 1);
    assert_eq!(b.next(), Said::Release { id: 8, count: 2 });
}

#[test]
fn a_release_beyond_the_count_ends_only_that_peer() {
    let net = Net::new();
    let (a, b, id, back) = callback(&net);
    b.release(back, 2);
    b.expect_abort();
    a.expect_release(3, 1);
    a.call(2, import(id)).send();
    assert!(a.expect_exception(2).reason.contains("protocol"));
    net.no_event();
}

#[test]
fn a_return_may_release_the_parameters() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::Mine(3)).table([Cap::MyPromise(4), Cap::Mine(3), Cap::Yours(id)]).send();
    let called = b.expect_call();
    assert_eq!(called.caps[3], Cap::Yours(5));
    b.results(called.question).release_params().send();
    let said = [a.next(), a.next(), a.next()];
    assert!(said.contains(&Said::Release { id: 3, count: 2 }), "{said:?}");
    assert!(said.contains(&Said::Release { id: 4, count: 1 }), "{said:?}");
    assert!(
        said.iter().any(|said| matches!(said, Said::Return(ret) if !ret.release_params)),
        "A counts by Release alone: {said:?}"
    );
    assert_eq!(b.sizes().exports, 0);
}

#[test]
fn a_resolve_for_a_promise_that_was_released_brings_nothing() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::MyPromise(3)).send();
    let called = b.expect_call();
    b.release(0, 1);
    assert_eq!(a.next(), Said::Release { id: 3, count: 1 });
    a.resolve(3, Cap::Mine(4));
    assert_eq!(a.next(), Said::Release { id: 4, count: 1 });
    b.silent();
    a.silent();
    assert_eq!((a.sizes().imports, called.caps), (0, vec![Cap::MyPromise(0)]));
}

#[test]
fn a_promise_resolves_to_a_capability_of_its_home() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::MyPromise(3)).send();
    let [Cap::MyPromise(promise)] = b.expect_call().caps[..] else { panic!("no promise") };
    b.call(1, import(promise)).marker(1).send();
    assert_eq!(a.expect_call().to, import(3));
    a.resolve(3, Cap::Mine(4));
    let Said::Resolve { promise: resolved, to: Ok(Cap::Mine(now)) } = b.next() else { panic!("no Resolve") };
    assert_eq!(resolved, promise);
    b.call(2, import(now)).marker(2).send();
    assert_eq!(a.expect_call().to, import(4));
    b.call(3, import(promise)).marker(3).send();
    let late = a.expect_call();
    assert!(late.to == import(3) || late.to == import(4), "{late:?}");
}

#[test]
fn a_promise_resolves_to_an_exception_with_its_details() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::MyPromise(3)).send();
    b.expect_call();
    a.break_promise(3, "no more");
    assert_eq!(b.next(), Said::Resolve { promise: 0, to: Err("no more".into()) });
}

#[test]
fn a_promise_that_was_resolved_is_exported_as_settled_and_under_a_name_of_its_own() {
    let net = Net::new();
    let (b, c) = (net.peer("b"), net.peer("c"));
    let (a, to_b) = net.give(&b, 5, "a");
    let to_c = net.introduce(&c, 6, &a, to_b, &b);
    a.call(1, import(to_b)).with(Cap::MyPromise(3)).send();
    let [Cap::MyPromise(at_b)] = b.expect_call().caps[..] else { panic!("no promise") };
    a.resolve(3, Cap::Mine(4));
    assert!(matches!(b.next(), Said::Resolve { to: Ok(Cap::Mine(_)), .. }));
    // New to C: nobody will resolve it, so it may not be called a promise.
    a.call(2, import(to_c)).with(Cap::Mine(3)).send();
    assert!(matches!(c.expect_call().caps[..], [Cap::Mine(_)]));
    // B knows it as a promise that has resolved. C++ refuses a capability that is one.
    a.call(3, import(to_b)).with(Cap::Mine(3)).send();
    let caps = b.expect_call().caps;
    assert!(matches!(caps[..], [Cap::Mine(id)] if id != at_b), "{caps:?}");
}

#[test]
fn what_a_third_party_hosts_is_taken_as_its_vine() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::Third(3)).send();
    assert_eq!(b.expect_call().caps, [Cap::Mine(0)]);
    b.release(0, 1);
    assert_eq!(a.next(), Said::Release { id: 3, count: 1 });
}

#[test]
fn levels_three_and_four_are_answered_as_unimplemented() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.say(|message| message.init_provide().set_question_id(1));
    assert_eq!(a.next(), Said::Unimplemented(10));
    a.say(|message| message.init_accept().set_question_id(1));
    assert_eq!(a.next(), Said::Unimplemented(11));
    a.say(|message| message.init_join().set_question_id(1));
    assert_eq!(a.next(), Said::Unimplemented(12));
    a.say(|message| message.init_disembargo().get_context().set_accept(b"x"));
    assert_eq!(a.next(), Said::Unimplemented(13));
    a.call(1, import(id)).send();
    b.expect_call();
}

#[test]
fn a_call_that_comes_back_as_unimplemented_fails() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    b.say(|message| message.init_unimplemented().init_call().set_question_id(question));
    let exception = a.expect_exception(1);
    assert_eq!(exception.kind, jackfield::wire::exception::Kind::Unimplemented);
    a.finish(1);
    assert_eq!((a.sizes().answers, b.sizes().questions), (0, 0));
}

#[test]
fn a_resolve_that_comes_back_as_unimplemented_is_taken_back() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).with(Cap::MyPromise(3)).send();
    b.expect_call();
    a.resolve(3, Cap::Mine(4));
    let Said::Resolve { to: Ok(Cap::Mine(now)), .. } = b.next() else { panic!("no Resolve") };
    b.say(|message| {
        let resolve = message.init_unimplemented().init_resolve();
        resolve.init_cap().set_sender_hosted(now);
    });
    assert_eq!(a.next(), Said::Release { id: 4, count: 1 });
}

#[test]
fn results_for_a_third_party_are_refused() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.say(|message| {
        let mut call = message.init_call();
        call.set_question_id(1);
        call.reborrow().init_target().set_imported_cap(id);
        call.get_send_results_to().init_third_party();
    });
    let returned = a.expect_return();
    assert!(matches!(returned.outcome, Outcome::Exception(_)), "{returned:?}");
    b.silent();
}
