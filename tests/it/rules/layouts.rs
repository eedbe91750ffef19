//! Messages laid out in every way that a peer may choose, and what patching does to them.

use crate::support::script::{Cap, Layout, Net, Outcome, Said, To, answer, import, read};

const LAYOUTS: [Layout; 2] = [Layout::Plain, Layout::Scattered];

fn pointer(offset: i32, data: u16, ptrs: u16) -> u64 {
    u64::from((offset as u32) << 2) | u64::from(data) << 32 | u64::from(ptrs) << 48
}

fn far(segment: u32, offset: u32, double: bool) -> u64 {
    u64::from(segment) << 32 | u64::from(offset) << 3 | u64::from(double) << 2 | 2
}

fn list(offset: u32, words: u32) -> u64 {
    u64::from(words) << 35 | 7 << 32 | u64::from(offset) << 2 | 1
}

fn list_tag(len: u32, data: u16, ptrs: u16) -> u64 {
    u64::from(len) << 2 | u64::from(data) << 32 | u64::from(ptrs) << 48
}

fn frame(segments: &[&[u64]]) -> Vec<u8> {
    let mut bytes = (segments.len() as u32 - 1).to_le_bytes().to_vec();
    for segment in segments {
        bytes.extend_from_slice(&(segment.len() as u32).to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(segments.iter().flat_map(|segment| segment.iter()).flat_map(|word| word.to_le_bytes()));
    bytes
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("whole words"))).collect()
}

#[test]
fn only_ids_change_where_they_have_room() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    let sent = a.call(17, import(id)).marker(42).with(Cap::Mine(3)).bytes();
    a.deliver(sent.clone());
    let got = b.next_bytes().expect("a call");
    assert_eq!(sent.len(), got.len(), "nothing was appended");
    let changed = words(&sent).iter().zip(words(&got)).filter(|(sent, got)| *sent != got).count();
    assert!(changed <= 3, "question, target and descriptor, but {changed} words changed");
}

#[test]
fn a_target_that_becomes_an_answer_gets_the_struct_that_it_lacks() {
    for layout in LAYOUTS {
        let net = Net::new();
        let (b, mut c) = (net.peer("b"), net.peer("c"));
        let (a, to_b) = net.give(&b, 5, "a");
        let to_c = net.introduce(&c, 6, &a, to_b, &b);
        a.call(2, import(to_b)).send();
        let open = b.expect_call().question;
        a.call(3, import(to_c)).with(Cap::YourAnswer(2, vec![1, 0])).send();
        let [Cap::MyPromise(promise)] = c.expect_call().caps[..] else { panic!("no promise") };
        c.lays_out(layout);
        let sent = c.call(1, import(promise)).marker(42).with(Cap::Yours(promise)).with(Cap::Mine(8)).bytes();
        c.deliver(sent.clone());
        let got = b.next_bytes().expect("a call");
        let Said::Call(called) = read(&got).expect("readable") else { panic!("not a call") };
        assert_eq!((called.to, called.marker), (answer(open, &[1, 0]), 42), "{layout:?}");
        assert!(
            matches!(&called.caps[..], [Cap::YourAnswer(q, path), Cap::Mine(_)] if *q == open && path == &[1, 0])
        );
        assert_eq!(sent[..4], got[..4], "the number of segments stays");
        assert!(got.len() > sent.len());
    }
}

#[test]
fn a_target_that_becomes_an_import_keeps_nothing_of_the_answer() {
    for layout in [Layout::Plain, Layout::Scattered, Layout::Canonical] {
        let net = Net::new();
        let b = net.peer("b");
        let cap = net.obtain(&b, 5);
        let mut a = net.peer_with("a", Some(cap));
        a.lays_out(layout);
        a.bootstrap(0);
        a.expect_results(0);
        a.call(1, answer(0, &[])).marker(42).table([Cap::YourAnswer(0, vec![])]).send();
        let called = b.expect_call();
        assert_eq!((called.to, called.marker), (import(5), 42), "{layout:?}");
        assert_eq!(called.caps, [Cap::Yours(5)]);
    }
}

#[test]
fn a_conversation_in_every_layout() {
    for layout in [Layout::Plain, Layout::Scattered, Layout::Canonical] {
        let net = Net::new();
        let mut b = net.peer("b");
        let (mut a, id) = net.give(&b, 0, "a");
        a.lays_out(layout);
        b.lays_out(layout);
        // Zeros everywhere: the canonical form leaves most of these messages out.
        a.call(0, import(id)).table([Cap::Mine(0)]).send();
        let called = b.expect_call();
        assert_eq!((called.to.clone(), called.question), (import(0), 0));
        assert_eq!(called.caps, [Cap::Mine(0)]);
        a.call(1, answer(0, &[0])).send();
        assert_eq!(b.expect_call().to, answer(0, &[0]));
        b.results(0).table([Cap::Mine(0), Cap::Null]).send();
        a.expect_outcome(0, Outcome::Results { marker: 0, caps: vec![Cap::Mine(id), Cap::Null] });
        a.finish_keep(0);
        b.expect_finish(0, false);
        b.throw(1, "no");
        assert_eq!(a.expect_exception(1).reason, "no");
        a.finish(1);
        b.expect_finish(1, false);
        a.release(id, 2);
        assert_eq!(a.sizes().exports, 0);
        b.release(0, 1);
        a.expect_release(0, 1);
        a.hang_up("done");
        b.expect_release(0, 2);
        net.empty(&[&a, &b]);
    }
}

/// A call by hand: `words` are one segment after the root; question 0, B's bootstrap has id 0 at A.
#[test]
fn a_message_may_lack_everything_that_is_zero() {
    let cases: [(&str, &[u64]); 5] = [
        ("no body", &[pointer(0, 1, 0), 2]),
        ("a null body", &[pointer(0, 1, 1), 2, 0]),
        ("a body of no size", &[pointer(0, 1, 1), 2, pointer(-1, 0, 0)]),
        ("no pointers", &[pointer(0, 1, 1), 2, pointer(0, 1, 0), 0]),
        ("no target", &[pointer(0, 1, 1), 2, pointer(0, 3, 3), 0, 0, 0, 0, 0, 0]),
    ];
    for (name, words) in cases {
        let net = Net::new();
        let b = net.peer("b");
        let (a, id) = net.give(&b, 5, "a");
        assert_eq!(id, 0);
        a.deliver(frame(&[words]));
        let called = b.expect_call();
        assert_eq!((called.to, called.question), (import(5), 0), "{name}");
        b.deliver(frame(&[&[pointer(0, 1, 1), 3, pointer(-1, 0, 0)]]));
        a.expect_outcome(0, Outcome::Results { marker: 0, caps: vec![] });
        a.deliver(frame(&[&[pointer(0, 1, 0), 4]]));
        b.expect_finish(0, false);
    }
}

#[test]
fn far_and_double_far_pointers_lead_through_all_segments() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    // The root behind a far pointer, the body behind a double far one, whose pad is in a segment of its own.
    a.deliver(frame(&[
        &[far(1, 0, false)],
        &[pointer(0, 1, 1), 2, far(2, 0, true)],
        &[far(3, 1, false), pointer(0, 3, 3)],
        &[0, 9, 77, 0, far(4, 0, false), 0, 0],
        &[pointer(0, 1, 1), u64::from(id), 0],
    ]));
    let called = b.expect_call();
    assert_eq!((called.to, called.interface), (import(5), 77));
}

#[test]
fn a_capability_table_of_elements_without_pointers_takes_an_answer() {
    let net = Net::new();
    let (b, c) = (net.peer("b"), net.peer("c"));
    let (a, to_b) = net.give(&b, 5, "a");
    let to_c = net.introduce(&c, 6, &a, to_b, &b);
    a.call(2, import(to_b)).send();
    let open = b.expect_call().question;
    a.call(3, import(to_c)).with(Cap::YourAnswer(2, vec![1])).with(Cap::Yours(to_b)).send();
    let caps = c.expect_call().caps;
    let [Cap::MyPromise(promise), Cap::Mine(b_at_c)] = caps[..] else { panic!("{caps:?}") };
    // C calls B with its own answer in a table of elements of one word.
    c.deliver(frame(&[&[
        pointer(0, 1, 1),
        2,
        pointer(0, 3, 3),
        0,
        0,
        0,
        pointer(2, 1, 1),
        pointer(3, 0, 2),
        0,
        u64::from(b_at_c),
        0,
        0,
        list(0, 2),
        list_tag(2, 1, 0),
        3 | u64::from(promise) << 32,
        1 | 8 << 32,
    ]]));
    let called = b.expect_call();
    assert_eq!(called.to, import(5));
    assert!(
        matches!(&called.caps[..], [Cap::YourAnswer(q, path), Cap::Mine(_)] if *q == open && path == &[1])
    );
}

#[test]
fn the_most_segments_that_a_receiver_takes_pass() {
    let net = Net::new();
    let b = net.peer("b");
    let cap = net.obtain(&b, 5);
    let a = net.peer_with("a", Some(cap));
    a.bootstrap(0);
    a.expect_results(0);
    let body = [pointer(0, 1, 1), 2, pointer(0, 3, 3), 1, 0, 0, pointer(2, 1, 1), 0, 0, 1 << 32, 0];
    let mut segments: Vec<&[u64]> = vec![&body];
    segments.resize(511, &[]);
    a.deliver(frame(&segments));
    assert_eq!(b.expect_call().to, To::Import(5));
    segments.resize(512, &[]);
    a.deliver(frame(&segments));
    a.expect_abort();
}

#[test]
fn operations_on_a_path_that_do_nothing_are_left_out() {
    let net = Net::new();
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    a.call(1, import(id)).send();
    let question = b.expect_call().question;
    a.say(|message| {
        let mut call = message.init_call();
        call.set_question_id(2);
        let mut promised = call.init_target().init_promised_answer();
        promised.set_question_id(1);
        let mut ops = promised.init_transform(3);
        ops.reborrow().get(1).set_get_pointer_field(4);
    });
    assert_eq!(b.expect_call().to, answer(question, &[4]));
}
