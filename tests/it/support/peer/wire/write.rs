//! Messages as frames.

use capnp::message::Builder;
use jackfield::schema::rpc_capnp as rpc;

use super::{Body, Call, Desc, Msg, Outcome, Shape, Target, Thrown};

pub fn encode(msg: &Msg, shape: Shape) -> Vec<u8> {
    let mut message = Builder::new(capnp::message::HeapAllocator::new().first_segment_words(1 << 12));
    let root = message.init_root::<rpc::message::Builder>();
    let mut content = None;
    match msg {
        Msg::Bootstrap(question) => root.init_bootstrap().set_question_id(*question),
        Msg::Call(call) => {
            write_call(root.init_call(), call);
            content = Some((&call.body, call.caps.len(), [0, 1, 0]));
        }
        Msg::Return { answer, release_params, no_finish, outcome } => {
            let mut body = root.init_return();
            body.set_answer_id(*answer);
            body.set_release_param_caps(*release_params);
            body.set_no_finish_needed(*no_finish);
            match outcome {
                Outcome::Results(results, caps) => {
                    write_caps(body.init_results().init_cap_table(caps.len() as u32), caps);
                    content = Some((results, caps.len(), [0, 0, 0]));
                }
                Outcome::Exception(thrown) => write_thrown(body.init_exception(), thrown),
                Outcome::Canceled => body.set_canceled(()),
                Outcome::Elsewhere => body.set_results_sent_elsewhere(()),
                Outcome::TakeFrom(other) => body.set_take_from_other_question(*other),
            }
        }
        Msg::Finish { question, release_results } => {
            let mut body = root.init_finish();
            body.set_question_id(*question);
            body.set_release_result_caps(*release_results);
            body.set_require_early_cancellation_workaround(false);
        }
        Msg::Resolve { promise, to } => {
            let mut body = root.init_resolve();
            body.set_promise_id(*promise);
            match to {
                Ok(cap) => write_cap(body.init_cap(), cap),
                Err(thrown) => write_thrown(body.init_exception(), thrown),
            }
        }
        Msg::Release { id, count } => {
            let mut body = root.init_release();
            body.set_id(*id);
            body.set_reference_count(*count);
        }
        Msg::Disembargo { target, receiver, id } => {
            let mut body = root.init_disembargo();
            write_target(body.reborrow().init_target(), target);
            match receiver {
                true => body.init_context().set_receiver_loopback(*id),
                false => body.init_context().set_sender_loopback(*id),
            }
        }
        Msg::Abort(reason) => root.init_abort().set_reason(&reason[..]),
        Msg::Unimplemented => drop(root.init_unimplemented()),
    }
    let words = message.get_segments_for_output()[0]
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    with_content(words, content, shape)
}

/// Hangs the content where `path` leads: pointer indices from the root's struct on.
fn with_content(mut first: Vec<u64>, content: Option<(&Body, usize, [u64; 3])>, shape: Shape) -> Vec<u8> {
    let mut segments = Vec::new();
    if let Some((body, caps, path)) = content {
        let mut at = 0;
        for index in path {
            let word = first[at];
            at = at + 1 + (word as u32 >> 2) as usize + (word >> 32) as u16 as usize + index as usize;
        }
        let words = content_words(body, caps);
        match shape {
            Shape::OneSegment => {
                let offset = (first.len() - at - 1) as u64;
                first[at] = if words[0] & 3 == 3 { words[0] } else { words[0] | offset << 2 };
                first.extend(&words[1..]);
            }
            Shape::Far => {
                first[at] = 2 | 1 << 32;
                segments.push(words);
            }
            Shape::DoubleFar if words[0] & 3 == 3 => first[at] = words[0],
            Shape::DoubleFar => {
                first[at] = 2 | 4 | 2 << 32;
                let pad = vec![2 | 1 << 3 | 1 << 32, words[0]];
                segments.extend([words, pad]);
            }
        }
    }
    segments.insert(0, first);
    let mut out = ((segments.len() - 1) as u32).to_le_bytes().to_vec();
    segments.iter().for_each(|segment| out.extend((segment.len() as u32).to_le_bytes()));
    out.resize(out.len().next_multiple_of(8), 0);
    segments.iter().flatten().for_each(|word| out.extend(word.to_le_bytes()));
    out
}

/// The root pointer, as if its struct followed at once, and the rest.
fn content_words(body: &Body, caps: usize) -> Vec<u64> {
    if body.is_cap {
        return vec![3];
    }
    let bytes = body.words.len() as u64 * 8;
    let mut words = vec![1 << 32 | (1 + caps as u64) << 48, body.uid];
    words.push(1 | (caps as u64) << 2 | 2 << 32 | bytes << 35);
    words.extend((0..caps as u64).map(|index| 3 | index << 32));
    words.extend(&body.words);
    words
}

fn write_call(mut to: rpc::call::Builder, call: &Call) {
    to.set_question_id(call.question);
    to.set_interface_id(0xfeed);
    to.set_method_id(7);
    to.set_only_promise_pipeline(call.only_pipeline);
    write_target(to.reborrow().init_target(), &call.target);
    if call.yourself {
        to.reborrow().get_send_results_to().set_yourself(());
    }
    write_caps(to.init_params().init_cap_table(call.caps.len() as u32), &call.caps);
}

fn write_target(mut to: rpc::message_target::Builder, target: &Target) {
    match target {
        Target::Import(id) => to.set_imported_cap(*id),
        Target::Answer(question, path) => write_answer(to.init_promised_answer(), *question, path),
    }
}

fn write_answer(mut to: rpc::promised_answer::Builder, question: u32, path: &[u16]) {
    to.set_question_id(question);
    let mut ops = to.init_transform(path.len() as u32);
    for (index, field) in path.iter().enumerate() {
        ops.reborrow().get(index as u32).set_get_pointer_field(*field);
    }
}

fn write_caps(mut to: capnp::struct_list::Builder<rpc::cap_descriptor::Owned>, caps: &[Desc]) {
    for (index, cap) in caps.iter().enumerate() {
        write_cap(to.reborrow().get(index as u32), cap);
    }
}

fn write_cap(mut to: rpc::cap_descriptor::Builder, cap: &Desc) {
    match cap {
        Desc::None => to.set_none(()),
        Desc::SenderHosted(id) => to.set_sender_hosted(*id),
        Desc::SenderPromise(id) => to.set_sender_promise(*id),
        Desc::ReceiverHosted(id) => to.set_receiver_hosted(*id),
        Desc::ReceiverAnswer(question, path) => write_answer(to.init_receiver_answer(), *question, path),
    }
}

fn write_thrown(mut to: rpc::exception::Builder, thrown: &Thrown) {
    to.set_reason(&thrown.reason[..]);
    to.set_trace(&thrown.reason[..]);
    let mut detail = to.init_details(1).get(0);
    detail.set_detail_id(0xd7);
    detail.set_data(&thrown.details);
}
