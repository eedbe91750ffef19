//! Frames that break the rules end the connection that they came on, and touch nobody else's.

use jackfield::rpc::{CapId, Event, Limits};
use jackfield::wire::frame;

use crate::support::script::{Cap, Layout, Net, Peer, Said, To, answer, import};

/// What everybody does who gets something broken from another: nothing.
fn still_works(net: &Net, a: &Peer, id: u32, b: &Peer) {
    while a.maybe_next().is_some() {}
    a.call(4000, import(id)).marker(12).send();
    let called = std::iter::from_fn(|| b.maybe_next())
        .find_map(|said| match said {
            Said::Call(called) => Some(called),
            _ => None,
        })
        .expect("the call");
    assert_eq!(called.marker, 12);
    let _ = net;
}

/// Every place of a frame, with every value that could mean something there.
fn mutations(frame: &[u8]) -> Vec<Vec<u8>> {
    let words: Vec<u64> =
        frame.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("whole words"))).collect();
    let mut all = Vec::new();
    for at in 0..words.len() {
        let mut values: Vec<u64> = (0..64).map(|bit| words[at] ^ 1 << bit).collect();
        values.extend(&words);
        values.extend([0, u64::MAX, 2, 6, 1 << 32, 1 << 48, 5 | 1 << 32, 0xffff_fffc, words[at] & !0 << 32]);
        values.extend((0..words.len() as u64).map(|word| word << 3 | 2));
        for value in values.into_iter().filter(|value| *value != words[at]) {
            let mut changed = frame.to_vec();
            changed[at * 8..at * 8 + 8].copy_from_slice(&value.to_le_bytes());
            all.push(changed);
        }
    }
    all
}

/// The host holds import 0 of B, the raw debug port; A has capabilities of B that it may use: 5, which answered
/// one call, and an answer still to come.
struct Port {
    net: Net,
    a: Peer,
    b: Peer,
    id: u32,
    /// Held for as long as the rest.
    _port: CapId,
}

fn debug_port() -> Port {
    let net = Net::new();
    let b = net.peer("b");
    let port = net.obtain(&b, 0);
    let (a, id) = net.give(&b, 5, "a");
    a.call(0, import(id)).with(Cap::Mine(3)).send();
    a.call(1, import(id)).send();
    b.expect_call();
    let called = b.expect_call();
    b.results(called.question).with(Cap::Mine(7)).send();
    a.expect_results(1);
    Port { net, a, b, id, _port: port }
}

#[test]
fn no_frame_reaches_the_debug_port() {
    for layout in [Layout::Plain, Layout::Scattered, Layout::Canonical] {
        let Port { mut a, id, .. } = debug_port();
        a.lays_out(layout);
        let mut frames = vec![
            a.call(9, import(id)).marker(3).table([Cap::Mine(4), Cap::Yours(id)]).bytes(),
            a.call(9, answer(0, &[0])).table([Cap::YourAnswer(0, vec![1]), Cap::Null]).bytes(),
            a.call(9, answer(1, &[])).table([Cap::Third(4), Cap::MyPromise(9)]).bytes(),
            a.results(0).table([Cap::Yours(id)]).bytes(),
        ];
        frames.push(a.call(9, import(0)).bytes());
        for frame in frames {
            for mutation in mutations(&frame) {
                attack(&mutation, layout);
            }
        }
    }
}

fn attack(bytes: &[u8], layout: Layout) {
    let Port { net, a, b, id, .. } = debug_port();
    a.deliver(bytes.to_vec());
    // Whatever it was, B can read what it got, and it is not for the debug port.
    while let Some(said) = b.maybe_next() {
        let caps = match &said {
            Said::Call(called) => {
                assert_ne!(called.to, To::Import(0), "{layout:?} {bytes:02x?}");
                &called.caps[..]
            }
            Said::SenderLoopback { to, .. } | Said::ReceiverLoopback { to, .. } => {
                assert_ne!(*to, To::Import(0), "{layout:?} {bytes:02x?}");
                &[]
            }
            Said::Abort(_) | Said::Unimplemented(_) => {
                panic!("B suffers from A's frame: {said:?} {bytes:02x?}")
            }
            _ => &[],
        };
        assert!(!caps.contains(&Cap::Yours(0)), "{layout:?} {bytes:02x?}");
    }
    assert!(!b_ended(&net, &b), "B ended by A's frame: {bytes:02x?}");
    let _ = id;
}

fn b_ended(net: &Net, b: &Peer) -> bool {
    std::iter::from_fn(|| net.engine().poll_event())
        .any(|event| matches!(event, Event::Closed { conn, .. } if conn == b.conn))
}

#[test]
fn a_word_that_is_reached_twice_ends_the_connection() {
    let Port { net, a, b, id, .. } = debug_port();
    let other = net.peer("other");
    let bytes =
        a.call(9, answer(0, &[])).table([Cap::YourAnswer(1, vec![]), Cap::YourAnswer(1, vec![])]).bytes();
    // The second descriptor's promised answer becomes the first's.
    let mut words: Vec<u64> =
        bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("words"))).collect();
    let structs: Vec<usize> = (1..words.len()).filter(|at| words[*at] == 4).collect();
    let [first, second] = structs[..] else { panic!("two descriptors with answers: {structs:?}") };
    let distance = (second - first) as u64;
    words[second + 1] = words[first + 1] - (distance << 2);
    let changed: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    other.deliver(bytes[..8].to_vec());
    other.expect_abort();
    a.deliver(changed);
    assert!(a.expect_abort().contains("share"), "not for another reason");
    let _ = (b, id);
}

#[test]
fn frames_that_are_no_messages_end_only_their_connection() {
    let hostile: [&[u8]; 6] = [
        &[],
        &[0; 7],
        &[0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 0, 1, 0, 0, 0],
        &[0xff; 16],
        &[0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
    ];
    for bytes in hostile {
        let Port { net, a, b, id, .. } = debug_port();
        let other = net.peer("other");
        other.deliver(bytes.to_vec());
        other.expect_abort();
        still_works(&net, &a, id, &b);
    }
}

#[test]
fn an_exception_that_cannot_be_read_is_not_passed_on() {
    let Port { net, a, b, .. } = debug_port();
    let root = 1u64 << 32 | 1 << 48;
    let bytes: Vec<u8> = [1u64 << 35, root, 3, 2 << 32 | 1 << 48, 1 << 48 | 1 << 32, 0]
        .into_iter()
        .chain([1 << 32 | 3 << 48, 0, 1 | 99 << 2 | 2 << 32 | 800 << 35, 0, 0])
        .flat_map(u64::to_le_bytes)
        .collect();
    let mut bytes = bytes;
    bytes[4] = (bytes.len() / 8 - 1) as u8;
    bytes[0] = 0;
    b.deliver(bytes);
    b.expect_abort();
    a.expect_release(3, 1);
    // A gets an exception that it can read.
    let exception = a.expect_exception(0);
    assert!(exception.reason.contains("broke the protocol"), "{exception:?}");
    let _ = net;
}

#[test]
fn what_nobody_knows_is_not_passed_on() {
    for words in [
        // A call on a target of a kind that does not exist, and a path with an operation that does not.
        vec![
            1u64 << 32 | 1 << 48,
            2,
            3 << 32 | 3 << 48,
            9,
            0,
            0,
            2 << 2 | 1 << 32 | 1 << 48,
            0,
            0,
            7 << 32,
            0,
        ],
        vec![
            1 << 32 | 1 << 48,
            2,
            3 << 32 | 3 << 48,
            9,
            0,
            0,
            2 << 2 | 1 << 32 | 1 << 48,
            0,
            0,
            1 << 32,
            1 << 32 | 1 << 48,
            0,
            1 | 7 << 32 | 1 << 35,
            1 << 2 | 1 << 32,
            7,
        ],
    ] {
        let Port { a, b, .. } = debug_port();
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&(words.len() as u32).to_le_bytes());
        bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
        a.deliver(bytes);
        a.expect_abort();
        while let Some(said) = b.maybe_next() {
            assert!(matches!(said, Said::Finish { .. } | Said::Release { .. }), "{said:?}");
        }
    }
}

#[test]
fn a_target_that_was_never_exported_ends_the_connection() {
    let Port { net, a, b, id, .. } = debug_port();
    let other = net.peer("other");
    for say in [
        |peer: &Peer| peer.call(1, import(77)).send(),
        |peer: &Peer| peer.call(1, answer(0, &[])).table([Cap::Yours(77)]).send(),
        |peer: &Peer| peer.release(77, 1),
        |peer: &Peer| peer.results(77).send(),
        |peer: &Peer| peer.sender_loopback(import(77), 1),
        |peer: &Peer| peer.receiver_loopback(import(77), 1),
    ] {
        let hostile = net.peer("hostile");
        say(&hostile);
        hostile.expect_abort();
    }
    still_works(&net, &a, id, &b);
    drop(other);
}

#[test]
fn a_question_is_answered_once() {
    let Port { net, a, b, .. } = debug_port();
    b.results(0).send();
    b.results(0).send();
    b.expect_abort();
    a.expect_results(0);
    assert!(matches!(a.next(), Said::Release { id: 3, count: 1 }));
    let _ = net;
}

#[test]
fn the_bounds_of_a_peer() {
    let limits = Limits { open_questions: 3, imports: 4, exports: 4, embargoes: 1, ..Limits::default() };
    let net = Net::with(limits.clone());
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    let kept = net.obtain(&b, 6);
    for question in 0..4 {
        a.call(question, import(id)).send();
    }
    assert!(a.expect_abort().contains("open questions"));
    while b.maybe_next().is_some() {}

    let a = net.peer_with("a", Some(kept));
    let id = a.get_bootstrap();
    a.call(1, import(id)).table((0..5).map(Cap::Mine)).send();
    assert!(a.expect_abort().contains("exported to us"));
    while let Some(said) = b.maybe_next() {
        assert!(!matches!(said, Said::Abort(_)), "{said:?}");
    }

    let net = Net::with(Limits { imports: 100, ..limits });
    let b = net.peer("b");
    let (a, id) = net.give(&b, 5, "a");
    let c = net.peer("c");
    a.call(1, import(id)).table((0..5).map(Cap::Mine)).send();
    assert!(a.expect_abort().contains("exported to a peer"));
    c.bootstrap(1);
    c.expect_return();
}

#[test]
fn a_frame_is_measured_before_it_is_there() {
    let header = |count: u32, words: u32| [(count - 1).to_le_bytes(), words.to_le_bytes()].concat();
    assert_eq!(frame::length(&header(1, 10), 1000), Ok(Some(88)));
    assert!(frame::length(&header(1, u32::MAX), 64 << 20).is_err());
    assert!(frame::length(&header(512, 0), 64 << 20).is_err());
    assert_eq!(frame::length(&header(511, 0), 64 << 20), Ok(None));
    assert_eq!(frame::length(&[0, 0, 0], 64 << 20), Ok(None));
}

#[test]
fn a_small_frame_cannot_ask_for_a_large_answer() {
    let net = Net::new();
    let a = net.peer("a");
    // A message of an unknown kind, whose list of pointers leads to the same kilobyte again and again.
    let mut words = vec![1u64 << 32 | 1 << 48, 10];
    words.push(1 << 32 | 2 << 48);
    words.extend([0, 0]);
    let elements = 10_000u64;
    words.push(1 | 6 << 32 | elements << 35);
    let start = words.len() as u64;
    for element in 0..elements {
        let offset = (start + elements) - (start + element) - 1;
        words.push(1 | offset << 2 | 2 << 32 | 8000 << 35);
    }
    words.extend(std::iter::repeat_n(0x0101_0101_0101_0101, 1000));
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&(words.len() as u32).to_le_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    let len = bytes.len();
    a.deliver(bytes);
    let out = net.engine().output(a.conn).map_or(0, |out| out.len());
    assert!(out < 4 * len, "{out} bytes for {len}");
}
