//! A frame of any bytes is taken apart and patched as the engine does it. Nothing panics; what comes out can be
//! read again, says what was written, and has all other words as they were.

use jackfield::rpc::trace;
use jackfield::wire::frame::{self, Frame};
use jackfield::wire::message::{
    self, Body, Call, Descriptor, Outcome, Payload, Resolve, Return, Target, Transform,
};
use jackfield::wire::{build, exception};

use super::script::Script;

pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let bytes = any_frame(&mut script);
    let _ = frame::length(&bytes, 1 << 20);
    let _ = exception::read(&bytes);
    let readable = trace::decode(&bytes).get("unreadable").is_none();
    if let Some(after) = patched(&bytes, &mut script) {
        let shown = trace::decode(&after);
        assert!(!readable || shown.get("unreadable").is_none(), "capnp cannot read {after:x?}: {shown}");
    }
}

/// Input for [`run`]: a Call as it is sent, with some bytes of it changed by `noise`.
#[allow(dead_code)]
pub fn damaged_message(noise: &[u8]) -> Vec<u8> {
    let mut script = Script::new(noise);
    let mut bytes = Vec::new();
    let path = Transform::from_slice(&[1, 2]);
    let caps = [
        Descriptor::SenderHosted(3),
        Descriptor::ReceiverAnswer { question: 4, path },
        Descriptor::ReceiverHosted(5),
    ];
    let content = build::Content::capabilities(3);
    match script.pick(2) {
        0 => build::call(&mut bytes, 1, &target(script.pick(3)), (7, 8), &content, &caps),
        _ => build::results(&mut bytes, 1, &content, &caps),
    }
    for _ in 0..script.pick(6) {
        let at = script.pick(bytes.len());
        bytes[at] ^= script.byte();
    }
    // As it is, behind the choices of `any_frame`.
    let mut input = vec![0; 33];
    input[1..].copy_from_slice(&[script.byte(); 32]);
    input.extend(bytes);
    input
}

/// The rest of the script as it is, or as the segments of a frame, so that not only the table is looked at.
fn any_frame(script: &mut Script) -> Vec<u8> {
    let count = script.pick(5);
    let choices = script.take(32).to_vec();
    if count == 0 {
        return script.take(usize::MAX).to_vec();
    }
    let mut segments = Vec::new();
    for index in 0..count {
        let words = choices.get(index).map_or(0, |words| usize::from(*words) / 2);
        let last = index + 1 == count;
        let mut segment = script.take(if last { 1 << 16 } else { words * 8 }).to_vec();
        segment.resize(segment.len().next_multiple_of(8), 0);
        segments.push(segment);
    }
    *script = Script::new(&[]);
    let mut out = (count as u32 - 1).to_le_bytes().to_vec();
    segments.iter().for_each(|segment| out.extend(((segment.len() / 8) as u32).to_le_bytes()));
    out.resize(out.len().next_multiple_of(8), 0);
    out.extend(segments.concat());
    out
}

/// What is written into the frame: ids that are not likely to be in it.
fn target(choice: usize) -> Target {
    match choice % 3 {
        0 => Target::Import(0xabcd),
        1 => Target::Answer { question: 0xabcd, path: Transform::new() },
        _ => Target::Answer { question: 0xabcd, path: Transform::from_slice(&[7, 9]) },
    }
}

fn descriptors(payload: &Payload, choice: usize) -> Vec<Descriptor> {
    let at = |index| match (index as usize + choice) % 6 {
        0 => Descriptor::None,
        1 => Descriptor::SenderHosted(index),
        2 => Descriptor::SenderPromise(index),
        3 => Descriptor::ReceiverHosted(index),
        4 => Descriptor::ReceiverAnswer { question: index, path: Transform::new() },
        _ => Descriptor::ReceiverAnswer { question: index, path: Transform::from_slice(&[1, 2, 3]) },
    };
    (0..payload.len()).map(at).collect()
}

fn read_descriptors(payload: &Payload, frame: &mut Frame) -> Option<Vec<Descriptor>> {
    (0..payload.len()).map(|index| payload.descriptor(frame, index).ok()).collect()
}

fn patched(bytes: &[u8], script: &mut Script) -> Option<Vec<u8>> {
    let choice = bytes.len() / 8 + script.pick(256);
    let mut copy = bytes.to_vec();
    let mut frame = Frame::new(&mut copy).ok()?;
    let Body { tag, body } = message::body(&mut frame).ok()?;
    let mut out = Vec::new();
    match tag {
        message::tag::CALL => {
            let mut call = Call::parse(&mut frame, body).ok()?;
            read_descriptors(&call.payload, &mut frame)?;
            frame.check_disjoint().ok()?;
            let skeleton = frame.claimed().to_vec();
            let new = descriptors(&call.payload, choice);
            call.patch(&mut frame, 0x1234, &target(choice));
            call.payload.patch(&mut frame, &new);
            frame.write(&mut out);
            unchanged(bytes, &out, &skeleton);
            let mut copy = out.clone();
            let mut frame = Frame::new(&mut copy).unwrap();
            let body = message::body(&mut frame).unwrap().body;
            let after = Call::parse(&mut frame, body).unwrap();
            assert_eq!((after.question, &after.target), (0x1234, &target(choice)));
            assert_eq!((after.interface, after.method), (call.interface, call.method));
            assert_eq!(read_descriptors(&after.payload, &mut frame).unwrap(), new);
            frame.check_disjoint().unwrap();
        }
        message::tag::RETURN => {
            let mut ret = Return::parse(&mut frame, body).ok()?;
            let payload = match &ret.outcome {
                Outcome::Results(payload) => Some(*payload),
                _ => None,
            };
            let new = payload.map(|payload| {
                let _ = payload.capability(&mut frame, &[0, 1]);
                read_descriptors(&payload, &mut frame).map(|_| descriptors(&payload, choice))
            });
            let new = match new {
                Some(None) => return None,
                Some(Some(new)) => new,
                None => Vec::new(),
            };
            frame.check_disjoint().ok()?;
            let skeleton = frame.claimed().to_vec();
            if let Some(payload) = payload {
                payload.patch(&mut frame, &new);
            }
            ret.patch(&mut frame, 0x1234);
            ret.set_no_finish_needed(&mut frame, choice.is_multiple_of(2));
            frame.write(&mut out);
            unchanged(bytes, &out, &skeleton);
            let mut copy = out.clone();
            let mut frame = Frame::new(&mut copy).unwrap();
            let body = message::body(&mut frame).unwrap().body;
            let after = Return::parse(&mut frame, body).unwrap();
            assert_eq!((after.answer, after.release_param_caps), (0x1234, false));
            assert_eq!(after.no_finish_needed, choice.is_multiple_of(2));
            if let Outcome::Results(payload) = &after.outcome {
                assert_eq!(read_descriptors(payload, &mut frame).unwrap(), new);
            }
            frame.check_disjoint().unwrap();
        }
        message::tag::RESOLVE => {
            let resolve = Resolve::parse(&mut frame, body).ok()?;
            frame.check_disjoint().ok()?;
            let skeleton = frame.claimed().to_vec();
            if resolve.cap.is_some() {
                return None;
            }
            resolve.patch_exception(&mut frame, 0x1234);
            frame.write(&mut out);
            unchanged(bytes, &out, &skeleton);
        }
        message::tag::DISEMBARGO => {
            message::disembargo(&mut frame, &body).ok()?;
            return None;
        }
        _ => return None,
    }
    Some(out)
}

/// All words outside of the skeleton and the segment table are as they were.
fn unchanged(before: &[u8], after: &[u8], skeleton: &[(u32, u32)]) {
    let table = (4 + 4 * (u32::from_le_bytes(*before.first_chunk().unwrap()) as usize + 1)).div_ceil(8);
    assert!(after.len() >= before.len());
    for (index, (old, new)) in before.chunks_exact(8).zip(after.chunks_exact(8)).enumerate().skip(table) {
        let may = skeleton.iter().any(|(start, end)| (*start as usize..*end as usize).contains(&index));
        assert!(may || old == new, "word {index} is payload and was changed");
    }
}
