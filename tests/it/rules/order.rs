//! Calls on one capability arrive in the order in which they were sent, through resolves and embargoes.

use jackfield::rpc::{Event, ObjectId};

use crate::support::script::{Cap, Net, Outcome, Peer, Said, To, answer, import};

/// A knows B's capability 5 as `to_b`; B knows C's capability 6 as `c_at_b`.
struct Trio {
    net: Net,
    a: Peer,
    b: Peer,
    c: Peer,
    to_b: u32,
    c_at_b: u32,
}

fn trio() -> Trio {
    let net = Net::new();
    let (b, c) = (net.peer("b"), net.peer("c"));
    let (a, to_b) = net.give(&b, 5, "a");
    let cap = net.obtain(&c, 6);
    let c_at_b = net.hand(&b, cap);
    Trio { net, a, b, c, to_b, c_at_b }
}

impl Trio {
    /// B returns a promise of its own, its capability 7, to A's question 1; returns what A calls it.
    fn promise(&self) -> u32 {
        self.a.call(1, import(self.to_b)).send();
        let question = self.b.expect_call().question;
        self.b.results(question).with(Cap::MyPromise(7)).send();
        let caps = self.a.expect_results(1);
        let [Cap::MyPromise(id)] = caps[..] else { panic!("no promise: {caps:?}") };
        self.a.finish_keep(1);
        self.b.expect_finish(question, false);
        id
    }

    /// B passes what it got on `from` on to C, as a peer does that has resolved a promise.
    fn b_passes_on(&self, question: u32, from: &To) {
        let called = self.b.expect_call();
        assert_eq!(&called.to, from);
        self.b.call(question, import(self.c_at_b)).marker(called.marker).send();
    }

    fn c_hears(&self, marker: u32) {
        let called = self.c.expect_call();
        assert_eq!((called.to, called.marker), (import(6), marker));
    }
}

#[test]
fn calls_wait_when_a_promise_becomes_a_capability_of_a_third() {
    let trio = trio();
    let Trio { a, b, c, c_at_b, .. } = &trio;
    let promise = trio.promise();
    a.call(2, import(promise)).marker(1).send();
    b.resolve(7, Cap::Yours(*c_at_b));
    let Said::Resolve { promise: told, to: Ok(Cap::MyPromise(now)) } = a.next() else { panic!("no Resolve") };
    assert_eq!(told, promise);
    a.call(3, import(now)).marker(2).send();
    c.silent();
    trio.b_passes_on(40, &import(7));
    trio.c_hears(1);
    let Said::SenderLoopback { to, id } = b.next() else { panic!("no Disembargo") };
    assert_eq!(to, import(7));
    c.silent();
    b.receiver_loopback(import(*c_at_b), id);
    trio.c_hears(2);
    let Said::Resolve { promise: told, to: Ok(Cap::Mine(settled)) } = a.next() else { panic!("no Resolve") };
    assert_eq!(told, now);
    a.call(4, import(settled)).marker(3).send();
    trio.c_hears(3);
    assert_eq!(b.sizes().embargoes, 0);
}

#[test]
fn a_call_that_crosses_the_resolve_is_not_overtaken() {
    let trio = trio();
    let Trio { a, b, c, c_at_b, .. } = &trio;
    let promise = trio.promise();
    a.call(2, import(promise)).marker(1).send();
    b.resolve(7, Cap::Yours(*c_at_b));
    // A has not seen the Resolve yet.
    a.call(3, import(promise)).marker(2).send();
    let Said::Resolve { to: Ok(Cap::MyPromise(now)), .. } = a.next() else { panic!("no Resolve") };
    a.call(4, import(now)).marker(3).send();
    trio.b_passes_on(40, &import(7));
    trio.c_hears(1);
    let Said::SenderLoopback { id, .. } = b.next() else { panic!("no Disembargo") };
    b.receiver_loopback(import(*c_at_b), id);
    // Wherever the second went, it comes before the third.
    if let Some(Said::Call(late)) = b.maybe_next() {
        b.call(41, import(*c_at_b)).marker(late.marker).send();
    }
    trio.c_hears(2);
    trio.c_hears(3);
    c.silent();
}

#[test]
fn a_first_call_that_crosses_the_resolve_is_not_overtaken() {
    let trio = trio();
    let Trio { a, b, c_at_b, .. } = &trio;
    let promise = trio.promise();
    b.resolve(7, Cap::Yours(*c_at_b));
    a.call(3, import(promise)).marker(1).send();
    let Said::Resolve { to: Ok(Cap::Mine(now) | Cap::MyPromise(now)), .. } = a.next() else {
        panic!("no Resolve")
    };
    a.call(4, import(now)).marker(2).send();
    if let Some(Said::Call(late)) = b.maybe_next() {
        b.call(41, import(*c_at_b)).marker(late.marker).send();
    }
    trio.c_hears(1);
    trio.c_hears(2);
}

#[test]
fn calls_wait_when_an_answer_brings_a_capability_of_a_third() {
    let trio = trio();
    let Trio { a, b, c, to_b, c_at_b, .. } = &trio;
    a.call(1, import(*to_b)).send();
    let question = b.expect_call().question;
    a.call(2, answer(1, &[0])).marker(1).send();
    b.results(question).with(Cap::Yours(*c_at_b)).send();
    let caps = a.expect_results(1);
    let [Cap::MyPromise(now)] = caps[..] else { panic!("not under an embargo: {caps:?}") };
    a.call(3, import(now)).marker(2).send();
    c.silent();
    trio.b_passes_on(40, &answer(question, &[0]));
    trio.c_hears(1);
    let Said::SenderLoopback { to, id } = b.next() else { panic!("no Disembargo") };
    assert_eq!(to, answer(question, &[0]));
    // A is done with the answer before the Disembargo is back.
    a.finish_keep(1);
    b.expect_finish(question, false);
    b.receiver_loopback(import(*c_at_b), id);
    trio.c_hears(2);
    assert!(matches!(a.next(), Said::Resolve { promise, to: Ok(Cap::Mine(_)) } if promise == now));
}

#[test]
fn a_pipelined_call_that_crosses_the_return_is_not_overtaken() {
    for called_before in [true, false] {
        let trio = trio();
        let Trio { a, b, c, to_b, c_at_b, .. } = &trio;
        a.call(1, import(*to_b)).send();
        let question = b.expect_call().question;
        if called_before {
            a.call(2, answer(1, &[0])).marker(0).send();
        }
        b.results(question).with(Cap::Yours(*c_at_b)).send();
        a.call(3, answer(1, &[0])).marker(1).send();
        let caps = a.expect_results(1);
        let [Cap::MyPromise(now) | Cap::Mine(now)] = caps[..] else { panic!("no capability: {caps:?}") };
        a.call(4, import(now)).marker(2).send();
        if called_before {
            trio.b_passes_on(40, &answer(question, &[0]));
            trio.c_hears(0);
        }
        while let Some(said) = b.maybe_next() {
            match said {
                Said::Call(late) => b.call(41, import(*c_at_b)).marker(late.marker).send(),
                Said::SenderLoopback { id, .. } => b.receiver_loopback(import(*c_at_b), id),
                other => panic!("{other:?}"),
            }
        }
        trio.c_hears(1);
        trio.c_hears(2);
        c.silent();
    }
}

#[test]
fn calls_along_a_promise_count_for_the_promise_that_it_becomes() {
    let trio = trio();
    let Trio { a, b, c, c_at_b, .. } = &trio;
    let promise = trio.promise();
    a.call(2, import(promise)).marker(1).send();
    b.resolve(7, Cap::MyPromise(8));
    let Said::Resolve { to: Ok(Cap::MyPromise(second)), .. } = a.next() else { panic!("no Resolve") };
    // No call went to the second under its own name, but B still has one of the first's.
    b.resolve(8, Cap::Yours(*c_at_b));
    let Said::Resolve { promise: told, to: Ok(Cap::MyPromise(now)) } = a.next() else {
        panic!("not under an embargo")
    };
    assert_eq!(told, second);
    a.call(3, import(now)).marker(2).send();
    c.silent();
    trio.b_passes_on(40, &import(7));
    let Said::SenderLoopback { to, id } = b.next() else { panic!("no Disembargo") };
    assert_eq!(to, import(8));
    b.receiver_loopback(import(*c_at_b), id);
    trio.c_hears(1);
    trio.c_hears(2);
}

#[test]
fn pipelined_calls_count_for_the_promise_that_the_answer_brings() {
    let trio = trio();
    let Trio { a, b, c, to_b, c_at_b, .. } = &trio;
    a.call(1, import(*to_b)).send();
    let question = b.expect_call().question;
    a.call(2, answer(1, &[0])).marker(1).send();
    b.results(question).with(Cap::MyPromise(8)).send();
    let caps = a.expect_results(1);
    let [Cap::MyPromise(_)] = caps[..] else { panic!("no promise: {caps:?}") };
    b.resolve(8, Cap::Yours(*c_at_b));
    let Said::Resolve { to: Ok(Cap::MyPromise(now)), .. } = a.next() else { panic!("not under an embargo") };
    a.call(3, import(now)).marker(2).send();
    c.silent();
    trio.b_passes_on(40, &answer(question, &[0]));
    let Said::SenderLoopback { to, id } = b.next() else { panic!("no Disembargo") };
    assert_eq!(to, import(8));
    b.receiver_loopback(import(*c_at_b), id);
    trio.c_hears(1);
    trio.c_hears(2);
}

#[test]
fn without_calls_before_there_is_no_embargo() {
    let trio = trio();
    let Trio { a, b, c, to_b, c_at_b, .. } = &trio;
    a.call(1, import(*to_b)).send();
    let question = b.expect_call().question;
    b.results(question).with(Cap::Yours(*c_at_b)).send();
    let caps = a.expect_results(1);
    let [Cap::Mine(to_c)] = caps[..] else { panic!("{caps:?}") };
    b.silent();
    a.call(2, import(to_c)).marker(1).send();
    trio.c_hears(1);
    c.silent();
}

#[test]
fn two_paths_to_one_capability_wait_for_both() {
    let trio = trio();
    let Trio { a, b, c, to_b, c_at_b, .. } = &trio;
    a.call(1, import(*to_b)).send();
    let question = b.expect_call().question;
    a.call(2, answer(1, &[0])).marker(1).send();
    a.call(3, answer(1, &[1])).marker(2).send();
    b.results(question).at(&[0, 1], Cap::Yours(*c_at_b)).send();
    let caps = a.expect_results(1);
    let [Cap::MyPromise(now)] = caps[..] else { panic!("not under an embargo: {caps:?}") };
    a.call(4, import(now)).marker(3).send();
    trio.b_passes_on(40, &answer(question, &[0]));
    trio.b_passes_on(41, &answer(question, &[1]));
    trio.c_hears(1);
    trio.c_hears(2);
    let mut ids = Vec::new();
    while let Some(said) = b.maybe_next() {
        let Said::SenderLoopback { id, .. } = said else { panic!("{said:?}") };
        ids.push(id);
    }
    assert_eq!(ids.len(), 2, "one for each path");
    b.receiver_loopback(import(*c_at_b), ids[0]);
    c.silent();
    b.receiver_loopback(import(*c_at_b), ids[1]);
    trio.c_hears(3);
}

#[test]
fn the_receivers_own_capability_is_its_own_affair_and_its_disembargo_passes() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, to_b) = net.give(&b, 5, "a");
    a.call(1, import(to_b)).with(Cap::Mine(3)).send();
    let called = b.expect_call();
    a.call(2, answer(1, &[0])).marker(1).send();
    let pipelined = b.expect_call();
    b.results(called.question).with(Cap::Yours(0)).send();
    assert_eq!(a.expect_results(1), [Cap::Yours(3)]);
    b.silent();
    a.sender_loopback(answer(1, &[0]), 77);
    let Said::SenderLoopback { to, id } = b.next() else { panic!("no Disembargo") };
    assert_eq!(to, answer(called.question, &[0]));
    b.call(9, import(0)).marker(pipelined.marker).send();
    b.receiver_loopback(import(0), id);
    assert_eq!(a.expect_call().marker, 1);
    assert_eq!(a.next(), Said::ReceiverLoopback { to: import(3), id: 77 });
    assert_eq!(b.sizes().embargoes, 0);
}

#[test]
fn a_promise_that_resolves_to_the_receivers_own_passes_its_disembargo_too() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, to_b) = net.give(&b, 5, "a");
    a.call(1, import(to_b)).with(Cap::Mine(3)).send();
    let called = b.expect_call();
    b.results(called.question).with(Cap::MyPromise(7)).send();
    let [Cap::MyPromise(promise)] = a.expect_results(1)[..] else { panic!("no promise") };
    a.call(2, import(promise)).marker(1).send();
    b.expect_call();
    b.resolve(7, Cap::Yours(0));
    assert_eq!(a.next(), Said::Resolve { promise, to: Ok(Cap::Yours(3)) });
    // What crosses the Resolve goes the old way, and so before the Disembargo.
    a.call(3, import(promise)).marker(2).send();
    assert_eq!(b.expect_call().to, import(7));
    a.sender_loopback(import(promise), 78);
    let Said::SenderLoopback { to, id } = b.next() else { panic!("no Disembargo") };
    assert_eq!(to, import(7));
    b.receiver_loopback(import(0), id);
    assert_eq!(a.next(), Said::ReceiverLoopback { to: import(3), id: 78 });
}

#[test]
fn a_disembargo_that_nobody_sent_ends_its_sender() {
    let trio = trio();
    trio.b.receiver_loopback(import(trio.c_at_b), 5);
    trio.b.expect_abort();
    trio.a.sender_loopback(answer(99, &[0]), 5);
    assert!(
        matches!(trio.a.next(), Said::ReceiverLoopback { id: 5, .. }),
        "the way is broken, nothing waits"
    );
}

#[test]
fn a_disembargo_comes_back_though_its_target_has_become_another() {
    let trio = trio();
    let Trio { a, b, to_b, c_at_b, .. } = &trio;
    a.call(1, import(*to_b)).with(Cap::MyPromise(3)).send();
    let called = b.expect_call();
    let [Cap::MyPromise(back)] = called.caps[..] else { panic!("no callback") };
    a.call(2, answer(1, &[0])).send();
    b.expect_call();
    b.results(called.question).with(Cap::Yours(back)).send();
    assert_eq!(a.expect_results(1), [Cap::Yours(3)]);
    a.sender_loopback(answer(1, &[0]), 77);
    let Said::SenderLoopback { id, .. } = b.next() else { panic!("no Disembargo") };
    // C++ names what the promise leads to by now.
    b.receiver_loopback(import(*c_at_b), id);
    assert!(matches!(a.next(), Said::ReceiverLoopback { id: 77, .. }));
    b.receiver_loopback(import(*c_at_b), id);
    b.expect_abort();
}

#[test]
fn a_disembargo_for_what_does_not_lead_back_ends_its_sender_alone() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, to_b) = net.give(&b, 5, "a");
    a.sender_loopback(import(to_b), 1);
    a.expect_abort();
    assert_eq!(
        b.maybe_next(),
        Some(Said::Release { id: 5, count: 1 }),
        "C++ would have ended B's connection"
    );
    b.silent();
}

#[test]
fn a_disembargo_for_a_parked_promise_waits_with_the_calls() {
    let net = Net::new();
    let (promise, cap) = net.engine().promise();
    let a = net.peer_with("a", Some(cap));
    let id = a.get_bootstrap();
    a.call(1, import(id)).with(Cap::Mine(3)).marker(1).send();
    a.sender_loopback(import(id), 9);
    a.silent();
    let own = net.obtain(&a, 4);
    net.engine().resolve(promise, Ok(own));
    let mut said = a.rest();
    let resolve = said.iter().position(|said| matches!(said, Said::Resolve { .. })).expect("a Resolve");
    assert_eq!(said.remove(resolve), Said::Resolve { promise: id, to: Ok(Cap::Yours(4)) });
    assert!(matches!(&said[0], Said::Call(called) if called.marker == 1), "{said:?}");
    assert_eq!(said[1], Said::ReceiverLoopback { to: import(4), id: 9 });
}

#[test]
fn a_local_object_is_a_third_too() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, to_b) = net.give(&b, 5, "a");
    let object = net.engine().object(ObjectId(1));
    let at_b = net.hand(&b, object);
    a.call(1, import(to_b)).send();
    let question = b.expect_call().question;
    a.call(2, answer(1, &[0])).marker(1).send();
    let pipelined = b.expect_call();
    b.results(question).with(Cap::Yours(at_b)).send();
    let caps = a.expect_results(1);
    let [Cap::MyPromise(now)] = caps[..] else { panic!("not under an embargo: {caps:?}") };
    a.call(3, import(now)).marker(2).send();
    net.no_event();
    let Said::SenderLoopback { id, .. } = b.next() else { panic!("no Disembargo") };
    b.call(9, import(at_b)).marker(pipelined.marker).send();
    let Event::Call { object: ObjectId(1), call: first, .. } = net.event() else { panic!("no call") };
    net.no_event();
    b.receiver_loopback(import(at_b), id);
    let Event::Call { object: ObjectId(1), call: second, .. } = net.event() else { panic!("no call") };
    assert_ne!(first, second);
    assert!(matches!(a.next(), Said::Resolve { to: Ok(Cap::Mine(_)), .. }));
}

#[test]
fn calls_that_were_parked_are_remembered_when_the_answer_comes() {
    let trio = trio();
    let Trio { net, b, c, c_at_b, .. } = &trio;
    let (promise, cap) = net.engine().promise();
    let d = net.peer_with("d", Some(cap));
    let id = d.get_bootstrap();
    d.call(1, import(id)).send();
    d.call(2, answer(1, &[0])).marker(1).send();
    let target = net.obtain(b, 5);
    net.engine().resolve(promise, Ok(target));
    let question = b.expect_call().question;
    assert!(matches!(d.next(), Said::Resolve { .. }));
    b.results(question).with(Cap::Yours(*c_at_b)).send();
    let caps = d.expect_results(1);
    let [Cap::MyPromise(now)] = caps[..] else { panic!("not under an embargo: {caps:?}") };
    d.call(3, import(now)).marker(2).send();
    c.silent();
    trio.b_passes_on(40, &answer(question, &[0]));
    let Said::SenderLoopback { id, .. } = b.next() else { panic!("no Disembargo") };
    b.receiver_loopback(import(*c_at_b), id);
    trio.c_hears(1);
    trio.c_hears(2);
}

#[test]
fn an_embargo_ends_with_the_connection_that_it_went_along() {
    let trio = trio();
    let Trio { a, b, c, c_at_b, .. } = &trio;
    let promise = trio.promise();
    a.call(2, import(promise)).marker(1).send();
    b.resolve(7, Cap::Yours(*c_at_b));
    let Said::Resolve { to: Ok(Cap::MyPromise(now)), .. } = a.next() else { panic!("no Resolve") };
    a.call(3, import(now)).marker(2).send();
    c.silent();
    b.hang_up("gone");
    trio.c_hears(2);
    let said: Vec<Said> = std::iter::from_fn(|| a.maybe_next()).collect();
    let failed =
        |said: &Said| matches!(said, Said::Return(ret) if matches!(ret.outcome, Outcome::Exception(_)));
    assert!(said.iter().any(failed), "the call that B had: {said:?}");
    assert!(
        said.iter().any(|said| matches!(said, Said::Resolve { promise, .. } if *promise == now)),
        "{said:?}"
    );
}
