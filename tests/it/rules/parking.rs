//! Calls whose target is not there yet.

use jackfield::rpc::{CapId, Event, Limits, ObjectId, Outgoing, PromiseId, TableSizes};
use jackfield::wire::build::Content;
use jackfield::wire::exception::Exception;

use crate::support::script::{Cap, Net, Outcome, Peer, Said, answer, import};

const HIGH: u32 = 1 << 31;

/// A knows a promise of the host's.
fn parked(net: &Net) -> (Peer, u32, PromiseId) {
    let (promise, cap) = net.engine().promise();
    let a = net.peer_with("a", Some(cap));
    let id = a.get_bootstrap();
    (a, id, promise)
}

fn resolve(net: &Net, promise: PromiseId, to: CapId) {
    net.engine().resolve(promise, Ok(to));
}

#[test]
fn parked_calls_go_on_in_order_with_what_hangs_on_them() {
    let net = Net::new();
    let (a, id, promise) = parked(&net);
    a.call(1, import(id)).with(Cap::Mine(3)).marker(1).send();
    a.call(HIGH, answer(1, &[0])).only_pipeline().marker(2).send();
    a.call(2, answer(HIGH, &[0])).marker(3).send();
    a.call(3, import(id)).with(Cap::YourAnswer(1, vec![1])).marker(4).send();
    a.silent();
    let (calls, bytes) = net.engine().parked(a.conn);
    assert!(calls >= 4 && bytes > 0 && net.budget.used() == bytes, "{calls} calls, {bytes} bytes");

    let b = net.peer("b");
    let target = net.obtain(&b, 5);
    resolve(&net, promise, target);
    let first = b.expect_call();
    assert_eq!((first.marker, &first.to, &first.caps), (1, &import(5), &vec![Cap::Mine(0)]));
    let second = b.expect_call();
    assert_eq!((second.marker, &second.to), (2, &answer(first.question, &[0])));
    assert!(second.only_pipeline && second.question >= HIGH);
    let third = b.expect_call();
    assert_eq!((third.marker, &third.to), (3, &answer(second.question, &[0])));
    let fourth = b.expect_call();
    assert_eq!((fourth.marker, fourth.caps), (4, vec![Cap::YourAnswer(first.question, vec![1])]));
    assert_eq!((net.engine().parked(a.conn), net.budget.used()), ((0, 0), 0));
}

#[test]
fn a_parked_call_holds_what_it_brings_though_the_sender_lets_go() {
    let net = Net::new();
    let (a, id, promise) = parked(&net);
    a.call(1, import(id)).with(Cap::Yours(id)).send();
    a.release(id, 1);
    let b = net.peer("b");
    let target = net.obtain(&b, 5);
    resolve(&net, promise, target);
    assert_eq!(b.expect_call().caps, [Cap::Yours(5)]);
    b.silent();
}

#[test]
fn when_the_time_is_up_every_parked_call_gets_the_same_exception() {
    let net = Net::new();
    let (a, id, promise) = parked(&net);
    a.call(1, import(id)).with(Cap::Mine(3)).send();
    a.call(HIGH, answer(1, &[0])).only_pipeline().with(Cap::Mine(4)).send();
    a.call(2, answer(HIGH, &[0])).send();
    net.engine().resolve(promise, Err(Exception::failed("nobody came")));
    let mut failed = Vec::new();
    let mut released = Vec::new();
    while let Some(said) = a.maybe_next() {
        match said {
            Said::Return(ret) => {
                let Outcome::Exception(exception) = ret.outcome else { panic!("{:?}", ret.outcome) };
                assert_eq!(exception.reason, "jsg.Error: nobody came");
                failed.push(ret.answer);
            }
            Said::Release { id, count: 1 } => released.push(id),
            Said::Resolve { promise, to: Err(_) } => assert_eq!(promise, id),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(failed, [1, 2], "and none for the call that wants no answer");
    assert_eq!(released, [3, 4]);
    assert_eq!((net.engine().parked(a.conn), net.budget.used()), ((0, 0), 0));
    for question in [1, 2, HIGH] {
        a.finish(question);
    }
    a.release(id, 1);
    assert_eq!(a.sizes(), TableSizes::default());
}

#[test]
fn a_finish_takes_a_parked_call_out() {
    let net = Net::new();
    let (a, id, promise) = parked(&net);
    a.call(1, import(id)).with(Cap::Mine(3)).send();
    a.finish(1);
    let said = [a.next(), a.next()];
    assert!(said.contains(&Said::Release { id: 3, count: 1 }), "{said:?}");
    assert!(said.iter().any(|said| matches!(said, Said::Return(ret) if ret.outcome == Outcome::Canceled)));
    assert_eq!((net.engine().parked(a.conn), net.budget.used()), ((0, 0), 0));
    let b = net.peer("b");
    let target = net.obtain(&b, 5);
    resolve(&net, promise, target);
    b.silent();
}

#[test]
fn a_finish_waits_behind_the_calls_on_its_answer() {
    let net = Net::new();
    let (a, id, promise) = parked(&net);
    a.call(1, import(id)).marker(1).send();
    a.call(2, answer(1, &[0])).marker(2).send();
    a.finish(1);
    a.silent();
    let b = net.peer("b");
    let target = net.obtain(&b, 5);
    resolve(&net, promise, target);
    let first = b.expect_call();
    let second = b.expect_call();
    assert_eq!((second.marker, &second.to), (2, &answer(first.question, &[0])));
    b.expect_finish(first.question, true);
    b.silent();
}

#[test]
fn when_the_last_call_on_its_answer_goes_a_finished_call_goes_too() {
    let net = Net::new();
    let (a, id, promise) = parked(&net);
    a.call(1, import(id)).send();
    a.call(2, answer(1, &[0])).send();
    a.call(3, answer(2, &[0])).send();
    a.finish(1);
    a.finish(2);
    a.silent();
    a.finish(3);
    let canceled = a.rest();
    assert_eq!(canceled.len(), 3, "{canceled:?}");
    assert_eq!((net.engine().parked(a.conn), net.budget.used()), ((0, 0), 0));
    let b = net.peer("b");
    let target = net.obtain(&b, 5);
    resolve(&net, promise, target);
    b.silent();
}

#[test]
fn a_call_that_waits_for_a_promise_outlives_the_answer_that_brought_it() {
    let net = Net::new();
    let hub = net.engine().object(ObjectId(1));
    let a = net.peer_with("a", Some(hub));
    let id = a.get_bootstrap();
    a.call(1, import(id)).send();
    a.call(2, answer(1, &[0])).marker(2).send();
    let Event::Call { call, .. } = net.event() else { panic!("a call for the host") };
    let (promise, cap) = net.engine().promise();
    net.engine().respond(call, &Content::capabilities(1), vec![Some(cap)]);
    a.expect_return();
    a.finish(1);
    a.silent();
    let b = net.peer("b");
    let target = net.obtain(&b, 5);
    resolve(&net, promise, target);
    assert_eq!(b.expect_call().marker, 2);
}

#[test]
fn a_caller_that_ends_leaves_nothing_parked() {
    let net = Net::new();
    let (a, id, promise) = parked(&net);
    a.call(1, import(id)).with(Cap::Mine(3)).send();
    a.call(2, answer(1, &[0])).with(Cap::YourAnswer(1, vec![0])).send();
    a.hang_up("gone");
    assert_eq!(net.budget.used(), 0);
    let b = net.peer("b");
    let target = net.obtain(&b, 5);
    resolve(&net, promise, target);
    assert_eq!(b.next(), Said::Release { id: 5, count: 1 });
    b.silent();
    assert_eq!(net.engine().totals(), (0, 0));
}

#[test]
fn the_bounds_of_parking_fail_only_the_call_that_goes_beyond() {
    let net = Net::with(Limits { parked_calls: 2, ..Limits::default() });
    let (a, id, promise) = parked(&net);
    for question in 1..=3 {
        a.call(question, import(id)).with(Cap::Mine(question)).send();
    }
    a.expect_release(3, 1);
    a.expect_exception(3);
    let b = net.peer("b");
    let target = net.obtain(&b, 5);
    resolve(&net, promise, target);
    b.expect_call();
    b.expect_call();
    b.silent();

    let net = Net::with(Limits { parked_bytes: 300, ..Limits::default() });
    let (a, id, _promise) = parked(&net);
    a.call(1, import(id)).send();
    a.silent();
    a.call(2, import(id)).send();
    let exception = a.expect_exception(2);
    assert_eq!(exception.kind, jackfield::wire::exception::Kind::Overloaded);
    a.finish(2);
    a.silent();
}

#[test]
fn an_engine_that_goes_gives_its_bytes_back() {
    let net = Net::new();
    let (promise, cap) = net.engine().promise();
    let outgoing = Outgoing { interface: 1, method: 1, content: Content::default(), caps: vec![] };
    let _question = net.engine().call(&cap, outgoing);
    let _ = promise;
    let budget = net.budget.clone();
    assert!(budget.used() > 0);
    drop(net);
    assert_eq!(budget.used(), 0);
}
