//! Connections that are leased and come back, and the objects that a caller meets first.

use jackfield::rpc::{Event, ObjectId, Outgoing, TableSizes};
use jackfield::wire::build::Content;
use jackfield::wire::exception::Exception;

use crate::support::script::{Cap, Net, Outcome, Said, answer, import};

#[test]
fn an_idle_connection_moves_to_another_engine_with_what_the_host_caches() {
    let (first, second) = (Net::new(), Net::new());
    let upstream = first.peer("upstream");
    let cap = first.obtain(&upstream, 9);
    let detached = first.engine().detach(upstream.conn, vec![cap]).expect("nothing else is left");
    assert_eq!(first.engine().totals(), (0, 0));

    let (conn, mut caps) = second.engine().attach(detached);
    let upstream = second.attached("upstream", conn);
    let cap = caps.pop().expect("the capability that was kept");
    let caller = second.peer_with("caller", Some(cap));
    let id = caller.get_bootstrap();
    caller.call(1, import(id)).marker(42).send();
    let called = upstream.expect_call();
    assert_eq!((called.to, called.marker), (import(9), 42));
}

#[test]
fn a_connection_with_a_call_on_its_way_is_not_idle() {
    let net = Net::new();
    let upstream = net.peer("upstream");
    let cap = net.obtain(&upstream, 9);
    let held = net.engine().retain(&cap);
    let caller = net.peer_with("caller", Some(held));
    let id = caller.get_bootstrap();
    caller.call(1, import(id)).send();
    assert!(!net.engine().is_idle(upstream.conn, &[&cap]));
    let question = upstream.expect_call().question;
    upstream.results(question).send();
    assert!(!net.engine().is_idle(upstream.conn, &[&cap]), "the Finish is still to come");
    caller.finish(1);
    assert!(!net.engine().is_idle(upstream.conn, &[&cap]), "the caller still has the capability");
    caller.release(id, 1);
    caller.hang_up("done");
    assert!(net.engine().is_idle(upstream.conn, &[&cap]));
}

#[test]
fn a_connection_that_the_target_still_uses_is_not_idle() {
    let net = Net::new();
    let upstream = net.peer("upstream");
    let cap = net.obtain(&upstream, 9);
    let held = net.engine().retain(&cap);
    let caller = net.peer_with("caller", Some(held));
    let id = caller.get_bootstrap();
    caller.call(1, import(id)).with(Cap::Mine(3)).send();
    let question = upstream.expect_call().question;
    upstream.results(question).send();
    caller.finish(1);
    caller.release(id, 1);
    assert!(!net.engine().is_idle(upstream.conn, &[&cap]), "the target keeps the callback");
    upstream.release(0, 1);
    assert_eq!(upstream.sizes(), TableSizes { imports: 1, ..TableSizes::default() });
}

#[test]
fn bootstrap_may_come_once_or_once_per_event() {
    let net = Net::new();
    let object = net.engine().object(ObjectId(1));
    let caller = net.peer_with("caller", Some(object));
    caller.bootstrap(0);
    caller.bootstrap(1);
    let first = caller.expect_results(0);
    assert!(matches!(first.as_slice(), [Cap::Mine(_)]), "settled, never to be resolved: {first:?}");
    assert_eq!(first, caller.expect_results(1));
    caller.finish(0);
    caller.finish(1);
    assert_eq!(caller.sizes(), TableSizes::default());
}

#[test]
fn what_a_host_object_answers_is_settled_and_can_be_pipelined_on() {
    let net = Net::new();
    let object = net.engine().object(ObjectId(1));
    let caller = net.peer_with("caller", Some(object));
    let id = caller.get_bootstrap();
    caller.call(1, import(id)).send();
    caller.call(2, answer(1, &[0])).marker(7).send();
    let Event::Call { call, object: ObjectId(1), .. } = net.event() else { panic!("no call") };
    net.no_event();
    let inner = net.engine().object(ObjectId(2));
    net.engine().respond(call, &Content::capabilities(1), vec![Some(inner)]);
    let caps = caller.expect_results(1);
    assert!(matches!(caps.as_slice(), [Cap::Mine(_)]), "{caps:?}");
    let Event::Call { call, object: ObjectId(2), method: 7, .. } = net.event() else { panic!("no call") };
    net.engine().fail(call, Exception::failed("no such entrypoint"));
    assert_eq!(caller.expect_exception(2).reason, "jsg.Error: no such entrypoint");
}

#[test]
fn a_host_object_can_send_a_call_on_as_it_is() {
    let net = Net::new();
    let upstream = net.peer("upstream");
    let target = net.obtain(&upstream, 9);
    let object = net.engine().object(ObjectId(1));
    let caller = net.peer_with("caller", Some(object));
    let id = caller.get_bootstrap();
    caller.call(1, import(id)).marker(42).with(Cap::Mine(3)).send();
    caller.call(2, answer(1, &[0])).marker(43).send();
    let Event::Call { call, .. } = net.event() else { panic!("no call") };
    net.engine().forward(call, &target);
    let first = upstream.expect_call();
    assert_eq!((first.to, first.marker, first.caps), (import(9), 42, vec![Cap::Mine(0)]));
    let second = upstream.expect_call();
    assert_eq!((second.to, second.marker), (answer(first.question, &[0]), 43));
}

#[test]
fn the_host_calls_and_pipelines_and_is_answered() {
    let net = Net::new();
    let upstream = net.peer("upstream");
    let target = net.obtain(&upstream, 9);
    let outgoing = |caps| Outgoing { interface: 5, method: 6, content: Content::capabilities(1), caps };
    let callback = net.engine().object(ObjectId(1));
    let question = net.engine().call(&target, outgoing(vec![Some(callback)]));
    let pipelined = net.engine().pipeline(question, &[0]);
    let second = net.engine().call(&pipelined, outgoing(vec![None]));
    let first = upstream.expect_call();
    assert_eq!((&first.to, first.interface, first.method), (&import(9), 5, 6));
    assert_eq!(first.caps, [Cap::Mine(0)]);
    assert_eq!(upstream.expect_call().to, answer(first.question, &[0]));
    upstream.call(1, import(0)).send();
    let Event::Call { object: ObjectId(1), call, .. } = net.event() else { panic!("no call") };
    net.engine().respond(call, &Content::default(), vec![]);
    assert_eq!(upstream.expect_results(1), []);
    upstream.finish(1);
    upstream.throw(first.question, "gone");
    let Event::Return { question: answered, result: Err(error) } = net.event() else { panic!("no answer") };
    assert_eq!((answered, error.reason.as_str()), (question, "gone"));
    net.engine().finish(question);
    net.engine().finish(second);
    net.engine().release(pipelined);
    let finished = [upstream.next(), upstream.next()];
    assert!(finished.iter().all(|said| matches!(said, Said::Finish { .. })), "{finished:?}");
}

#[test]
fn a_connection_that_serves_nothing_says_so() {
    let net = Net::new();
    let upstream = net.peer("upstream");
    upstream.bootstrap(0);
    let returned = upstream.expect_return();
    assert!(matches!(returned.outcome, Outcome::Exception(_)), "{returned:?}");
    upstream.finish(0);
    net.empty(&[&upstream]);
}
