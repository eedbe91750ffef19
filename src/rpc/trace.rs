//! What the frames said, for people: one JSON object a frame.

use serde_json::{Value, json};

use super::tables::ConnId;
use crate::schema::rpc_capnp as rpc;
use crate::wire::exception;
use crate::wire::frame::MAX_CAPS;

/// One frame that came or went.
pub struct TraceRecord<'a> {
    /// On which connection.
    pub conn: ConnId,
    /// Whether we sent it.
    pub sent: bool,
    /// How many frames had come in by then: a frame that was sent has the number of the one that caused it, and
    /// so the two show how ids were mapped.
    pub received: u64,
    /// The frame. One that came is shown as it came, before it was patched.
    pub frame: &'a [u8],
}

/// Takes the frames of an engine.
pub trait Trace: Send {
    /// Called for each frame, in the order in which the engine saw them. It must not block for long.
    fn frame(&mut self, record: &TraceRecord);
}

impl TraceRecord<'_> {
    /// `{"frame":17,"conn":2,"dir":"out","bytes":96,"message":{…}}`; `frame` counts the frames that came in.
    pub fn to_json(&self) -> Value {
        json!({
            "frame": self.received,
            "conn": self.conn.0,
            "dir": if self.sent { "out" } else { "in" },
            "bytes": self.frame.len(),
            "message": decode(self.frame),
        })
    }
}

/// A message as JSON: its kind, and every id and flag in it; content is left out.
pub fn decode(frame: &[u8]) -> Value {
    inner(frame).unwrap_or_else(|error| json!({ "unreadable": error.to_string() }))
}

fn inner(frame: &[u8]) -> capnp::Result<Value> {
    let mut rest = frame;
    let options = exception::reader_options(frame);
    let reader = capnp::serialize::read_message_from_flat_slice(&mut rest, options)?;
    use rpc::message::Which;
    Ok(match reader.get_root::<rpc::message::Reader>()?.which()? {
        Which::Bootstrap(body) => json!({ "bootstrap": { "question": body?.get_question_id() } }),
        Which::Call(body) => call(body?)?,
        Which::Return(body) => returned(body?, frame)?,
        Which::Finish(body) => {
            let body = body?;
            json!({ "finish": {
                "question": body.get_question_id(),
                "release_result_caps": body.get_release_result_caps(),
            } })
        }
        Which::Resolve(body) => {
            let body = body?;
            let to = match body.which()? {
                rpc::resolve::Which::Cap(cap) => descriptor(cap?)?,
                rpc::resolve::Which::Exception(_) => json!({ "exception": exception::read(frame).reason }),
            };
            json!({ "resolve": { "promise": body.get_promise_id(), "to": to } })
        }
        Which::Release(body) => {
            let body = body?;
            json!({ "release": { "id": body.get_id(), "count": body.get_reference_count() } })
        }
        Which::Disembargo(body) => {
            let body = body?;
            use rpc::disembargo::context::Which;
            let (kind, id) = match body.get_context().which()? {
                Which::SenderLoopback(id) => ("sender_loopback", id),
                Which::ReceiverLoopback(id) => ("receiver_loopback", id),
                Which::Accept(_) => ("accept", 0),
            };
            json!({ "disembargo": { "target": target(body.get_target()?)?, kind: id } })
        }
        Which::Abort(_) => json!({ "abort": exception::read(frame).reason }),
        Which::Unimplemented(_) => json!({ "unimplemented": {} }),
        _ => json!({ "other": {} }),
    })
}

fn call(body: rpc::call::Reader) -> capnp::Result<Value> {
    use rpc::call::send_results_to::Which;
    let results_to = match body.get_send_results_to().which()? {
        Which::Caller(()) => "caller",
        Which::Yourself(()) => "yourself",
        Which::ThirdParty(_) => "third party",
    };
    Ok(json!({ "call": {
        "question": body.get_question_id(),
        "target": target(body.get_target()?)?,
        "interface": format!("{:#x}", body.get_interface_id()),
        "method": body.get_method_id(),
        "results_to": results_to,
        "only_promise_pipeline": body.get_only_promise_pipeline(),
        "caps": caps(body.get_params()?)?,
    } }))
}

fn returned(body: rpc::return_::Reader, frame: &[u8]) -> capnp::Result<Value> {
    use rpc::return_::Which;
    let outcome = match body.which()? {
        Which::Results(results) => json!({ "caps": caps(results?)? }),
        Which::Exception(_) => json!({ "exception": exception::read(frame).reason }),
        Which::Canceled(()) => json!("canceled"),
        Which::ResultsSentElsewhere(()) => json!("results sent elsewhere"),
        Which::TakeFromOtherQuestion(id) => json!({ "take_from": id }),
        Which::AwaitFromThirdParty(_) => json!("await from third party"),
    };
    Ok(json!({ "return": {
        "answer": body.get_answer_id(),
        "release_param_caps": body.get_release_param_caps(),
        "no_finish_needed": body.get_no_finish_needed(),
        "outcome": outcome,
    } }))
}

fn target(target: rpc::message_target::Reader) -> capnp::Result<Value> {
    Ok(match target.which()? {
        rpc::message_target::Which::ImportedCap(id) => json!({ "import": id }),
        rpc::message_target::Which::PromisedAnswer(answer) => promised(answer?)?,
    })
}

fn promised(answer: rpc::promised_answer::Reader) -> capnp::Result<Value> {
    let mut path = Vec::new();
    for op in answer.get_transform()? {
        if let rpc::promised_answer::op::Which::GetPointerField(field) = op.which()? {
            path.push(field);
        }
    }
    Ok(json!({ "answer": answer.get_question_id(), "path": path }))
}

fn caps(payload: rpc::payload::Reader) -> capnp::Result<Value> {
    let table = payload.get_cap_table()?;
    // Frames are shown before they are checked: one can claim millions of entries that take no room in it.
    if table.len() as usize > MAX_CAPS {
        return Ok(json!({ "entries": table.len() }));
    }
    table.iter().map(descriptor).collect::<capnp::Result<Vec<_>>>().map(Value::Array)
}

fn descriptor(cap: rpc::cap_descriptor::Reader) -> capnp::Result<Value> {
    use rpc::cap_descriptor::Which;
    Ok(match cap.which()? {
        Which::None(()) => Value::Null,
        Which::SenderHosted(id) => json!({ "sender_hosted": id }),
        Which::SenderPromise(id) => json!({ "sender_promise": id }),
        Which::ReceiverHosted(id) => json!({ "receiver_hosted": id }),
        Which::ReceiverAnswer(answer) => json!({ "receiver_answer": promised(answer?)? }),
        Which::ThirdPartyHosted(_) => json!("third party"),
    })
}
