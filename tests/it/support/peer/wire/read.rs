//! Frames as messages.

use capnp::message::ReaderOptions;
use capnp::serialize;
use jackfield::schema::rpc_capnp as rpc;

use super::{Body, Call, Desc, Msg, Outcome, Target, Thrown};

/// # Panics
/// On what is no message: the switch never sends such.
pub fn decode(frame: &[u8]) -> Msg {
    read(frame).unwrap_or_else(|error| panic!("the switch sent what capnp cannot read: {error}"))
}

fn read(mut frame: &[u8]) -> capnp::Result<Msg> {
    let reader = serialize::read_message_from_flat_slice(&mut frame, ReaderOptions::new())?;
    use rpc::message::Which;
    Ok(match reader.get_root::<rpc::message::Reader>()?.which()? {
        Which::Bootstrap(body) => Msg::Bootstrap(body?.get_question_id()),
        Which::Call(body) => read_call(body?)?,
        Which::Return(body) => {
            let body = body?;
            use rpc::return_::Which;
            Msg::Return {
                answer: body.get_answer_id(),
                release_params: body.get_release_param_caps(),
                no_finish: body.get_no_finish_needed(),
                outcome: match body.which()? {
                    Which::Results(results) => {
                        let results = results?;
                        let mut caps = read_caps(results.get_cap_table()?)?;
                        let body = read_body(&results);
                        // The host's content has no words, and its capability `i` behind pointer `i`.
                        if body.uid == 0 && !body.is_cap && caps.first() == Some(&Desc::None) {
                            caps.remove(0);
                        }
                        Outcome::Results(body, caps)
                    }
                    Which::Exception(thrown) => Outcome::Exception(read_thrown(thrown?)?),
                    Which::Canceled(()) => Outcome::Canceled,
                    Which::ResultsSentElsewhere(()) => Outcome::Elsewhere,
                    Which::TakeFromOtherQuestion(other) => Outcome::TakeFrom(other),
                    Which::AwaitFromThirdParty(_) => panic!("the switch names no third party"),
                },
            }
        }
        Which::Finish(body) => {
            let body = body?;
            Msg::Finish { question: body.get_question_id(), release_results: body.get_release_result_caps() }
        }
        Which::Resolve(body) => {
            let body = body?;
            let to = match body.which()? {
                rpc::resolve::Which::Cap(cap) => Ok(read_cap(cap?)?),
                rpc::resolve::Which::Exception(thrown) => Err(read_thrown(thrown?)?),
            };
            Msg::Resolve { promise: body.get_promise_id(), to }
        }
        Which::Release(body) => {
            let body = body?;
            Msg::Release { id: body.get_id(), count: body.get_reference_count() }
        }
        Which::Disembargo(body) => {
            let body = body?;
            use rpc::disembargo::context::Which;
            let (receiver, id) = match body.get_context().which()? {
                Which::SenderLoopback(id) => (false, id),
                Which::ReceiverLoopback(id) => (true, id),
                Which::Accept(_) => panic!("the switch speaks no level 3"),
            };
            Msg::Disembargo { target: read_target(body.get_target()?)?, receiver, id }
        }
        Which::Abort(thrown) => Msg::Abort(thrown?.get_reason()?.to_string()?),
        Which::Unimplemented(_) => Msg::Unimplemented,
        _ => panic!("the switch sends no message of level 3"),
    })
}

fn read_call(body: rpc::call::Reader) -> capnp::Result<Msg> {
    let params = body.get_params()?;
    use rpc::call::send_results_to::Which;
    Ok(Msg::Call(Call {
        question: body.get_question_id(),
        target: read_target(body.get_target()?)?,
        body: read_body(&params),
        caps: read_caps(params.get_cap_table()?)?,
        yourself: match body.get_send_results_to().which()? {
            Which::Caller(()) => false,
            Which::Yourself(()) => true,
            Which::ThirdParty(_) => panic!("the switch names no third party"),
        },
        only_pipeline: body.get_only_promise_pipeline(),
    }))
}

fn read_body(payload: &rpc::payload::Reader) -> Body {
    let content = payload.get_content();
    match content.get_as::<rpc::exception::detail::Reader>() {
        Ok(body) => Body {
            uid: body.get_detail_id(),
            words: body
                .get_data()
                .unwrap_or_default()
                .chunks_exact(8)
                .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
                .collect(),
            is_cap: false,
        },
        Err(_) => Body { is_cap: true, ..Body::default() },
    }
}

fn read_target(target: rpc::message_target::Reader) -> capnp::Result<Target> {
    Ok(match target.which()? {
        rpc::message_target::Which::ImportedCap(id) => Target::Import(id),
        rpc::message_target::Which::PromisedAnswer(answer) => {
            let (question, path) = read_answer(answer?)?;
            Target::Answer(question, path)
        }
    })
}

fn read_answer(answer: rpc::promised_answer::Reader) -> capnp::Result<(u32, Vec<u16>)> {
    let mut path = Vec::new();
    for op in answer.get_transform()? {
        if let rpc::promised_answer::op::Which::GetPointerField(field) = op.which()? {
            path.push(field);
        }
    }
    Ok((answer.get_question_id(), path))
}

fn read_caps(caps: capnp::struct_list::Reader<rpc::cap_descriptor::Owned>) -> capnp::Result<Vec<Desc>> {
    caps.iter().map(read_cap).collect()
}

fn read_cap(cap: rpc::cap_descriptor::Reader) -> capnp::Result<Desc> {
    use rpc::cap_descriptor::Which;
    Ok(match cap.which()? {
        Which::None(()) => Desc::None,
        Which::SenderHosted(id) => Desc::SenderHosted(id),
        Which::SenderPromise(id) => Desc::SenderPromise(id),
        Which::ReceiverHosted(id) => Desc::ReceiverHosted(id),
        Which::ReceiverAnswer(answer) => {
            let (question, path) = read_answer(answer?)?;
            Desc::ReceiverAnswer(question, path)
        }
        Which::ThirdPartyHosted(_) => panic!("the switch names no third party"),
    })
}

fn read_thrown(thrown: rpc::exception::Reader) -> capnp::Result<Thrown> {
    let details = thrown.get_details()?;
    Ok(Thrown {
        reason: thrown.get_reason()?.to_string()?,
        details: if details.is_empty() { Vec::new() } else { details.get(0).get_data()?.to_vec() },
    })
}
