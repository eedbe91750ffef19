//! What the engine has sent.

use capnp::message::ReaderOptions;
use capnp::serialize;
use jackfield::schema::rpc_capnp as rpc;
use jackfield::wire::exception;

use super::{Called, Cap, Outcome, Returned, Said, To};

/// What a message says.
pub fn read(bytes: &[u8]) -> capnp::Result<Said> {
    let mut rest = bytes;
    let reader = serialize::read_message_from_flat_slice(&mut rest, ReaderOptions::new())?;
    let message = reader.get_root::<rpc::message::Reader>()?;
    use rpc::message::Which;
    Ok(match message.which()? {
        Which::Bootstrap(body) => Said::Bootstrap(body?.get_question_id()),
        Which::Call(body) => Said::Call(read_call(body?)?),
        Which::Return(body) => Said::Return(read_return(body?, bytes)?),
        Which::Finish(body) => {
            let body = body?;
            Said::Finish {
                question: body.get_question_id(),
                release: body.get_release_result_caps(),
                workaround: body.get_require_early_cancellation_workaround(),
            }
        }
        Which::Resolve(body) => {
            let body = body?;
            let to = match body.which()? {
                rpc::resolve::Which::Cap(cap) => Ok(read_cap(cap?)?),
                rpc::resolve::Which::Exception(_) => Err(exception::read(bytes).reason),
            };
            Said::Resolve { promise: body.get_promise_id(), to }
        }
        Which::Release(body) => {
            let body = body?;
            Said::Release { id: body.get_id(), count: body.get_reference_count() }
        }
        Which::Disembargo(body) => {
            let body = body?;
            let to = read_target(body.get_target()?)?;
            use rpc::disembargo::context::Which;
            match body.get_context().which()? {
                Which::SenderLoopback(id) => Said::SenderLoopback { to, id },
                Which::ReceiverLoopback(id) => Said::ReceiverLoopback { to, id },
                Which::Accept(_) => return Err(capnp::Error::failed("a Disembargo of level 3".into())),
            }
        }
        Which::Abort(_) => Said::Abort(exception::read(bytes).reason),
        Which::Unimplemented(original) => Said::Unimplemented(match original?.which() {
            Ok(Which::Provide(_)) => 10,
            Ok(Which::Accept(_)) => 11,
            Ok(Which::Join(_)) => 12,
            Ok(Which::Disembargo(_)) => 13,
            Ok(_) => 0,
            Err(capnp::NotInSchema(tag)) => tag,
        }),
        _ => return Err(capnp::Error::failed("a message that we never send".into())),
    })
}

fn read_call(call: rpc::call::Reader) -> capnp::Result<Called> {
    use rpc::call::send_results_to::Which;
    let (marker, caps) = read_payload(call.get_params()?)?;
    Ok(Called {
        question: call.get_question_id(),
        to: read_target(call.get_target()?)?,
        interface: call.get_interface_id(),
        method: call.get_method_id(),
        marker,
        caps,
        yourself: matches!(call.get_send_results_to().which()?, Which::Yourself(())),
        only_pipeline: call.get_only_promise_pipeline(),
        no_pipelining: call.get_no_promise_pipelining(),
        third_party_tail: call.get_allow_third_party_tail_call(),
    })
}

fn read_return(ret: rpc::return_::Reader, bytes: &[u8]) -> capnp::Result<Returned> {
    use rpc::return_::Which;
    let outcome = match ret.which()? {
        Which::Results(payload) => {
            let (marker, caps) = read_payload(payload?)?;
            Outcome::Results { marker, caps }
        }
        Which::Exception(_) => Outcome::Exception(exception::read(bytes)),
        Which::Canceled(()) => Outcome::Canceled,
        Which::ResultsSentElsewhere(()) => Outcome::Elsewhere,
        Which::TakeFromOtherQuestion(id) => Outcome::TakeFrom(id),
        Which::AwaitFromThirdParty(_) => return Err(capnp::Error::failed("a Return of level 3".into())),
    };
    Ok(Returned {
        answer: ret.get_answer_id(),
        release_params: ret.get_release_param_caps(),
        no_finish: ret.get_no_finish_needed(),
        outcome,
    })
}

fn read_payload(payload: rpc::payload::Reader) -> capnp::Result<(u32, Vec<Cap>)> {
    // Content that is a capability itself has no number.
    let marker = payload.get_content().get_as::<rpc::call::Reader>().map_or(0, |call| call.get_question_id());
    let caps = payload.get_cap_table()?.iter().map(read_cap).collect::<capnp::Result<_>>()?;
    Ok((marker, caps))
}

fn read_target(target: rpc::message_target::Reader) -> capnp::Result<To> {
    Ok(match target.which()? {
        rpc::message_target::Which::ImportedCap(id) => To::Import(id),
        rpc::message_target::Which::PromisedAnswer(answer) => {
            let (question, path) = read_promised(answer?)?;
            To::Answer(question, path)
        }
    })
}

fn read_promised(answer: rpc::promised_answer::Reader) -> capnp::Result<(u32, Vec<u16>)> {
    let mut path = Vec::new();
    for op in answer.get_transform()? {
        match op.which()? {
            rpc::promised_answer::op::Which::Noop(()) => {}
            rpc::promised_answer::op::Which::GetPointerField(field) => path.push(field),
        }
    }
    Ok((answer.get_question_id(), path))
}

fn read_cap(cap: rpc::cap_descriptor::Reader) -> capnp::Result<Cap> {
    use rpc::cap_descriptor::Which;
    Ok(match cap.which()? {
        Which::None(()) => Cap::Null,
        Which::SenderHosted(id) => Cap::Mine(id),
        Which::SenderPromise(id) => Cap::MyPromise(id),
        Which::ReceiverHosted(id) => Cap::Yours(id),
        Which::ReceiverAnswer(answer) => {
            let (question, path) = read_promised(answer?)?;
            Cap::YourAnswer(question, path)
        }
        Which::ThirdPartyHosted(third) => Cap::Third(third?.get_vine_id()),
    })
}
