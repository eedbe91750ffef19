//! A message with its ids, as its sender numbers them.

use jackfield::wire::build;
use jackfield::wire::frame::Frame;
use jackfield::wire::message::{self, Call, Descriptor, Outcome, Payload, Resolve, Return, Target, tag};

use super::tree::Node;

#[derive(Clone, Debug)]
pub enum Message {
    Bootstrap {
        question: u32,
    },
    Call {
        question: u32,
        method: (u64, u16),
        yourself: bool,
        pipeline_only: bool,
        target: Target,
        payload: Load,
    },
    Return {
        answer: u32,
        release_params: bool,
        outcome: Out,
    },
    Finish {
        question: u32,
        flags: u64,
    },
    Resolve {
        promise: u32,
        cap: Option<Descriptor>,
        exception: Node,
    },
    Release {
        id: u32,
        count: u32,
    },
    /// A Disembargo, or what belongs to levels that workerd does not speak. No recording has any.
    Other,
}

#[derive(Clone, Debug)]
pub enum Out {
    Results(Load),
    Exception(Node),
    Canceled,
    Elsewhere,
    /// The answer is the one to another question.
    Take,
}

/// Content and capability table.
#[derive(Clone, Debug)]
pub struct Load {
    pub content: Node,
    pub caps: Vec<Descriptor>,
}

impl Message {
    pub fn of(bytes: &[u8]) -> Self {
        let root = Node::of(bytes).expect("a message");
        let mut bytes = bytes.to_vec();
        let mut frame = Frame::new(&mut bytes).expect("a frame");
        let message::Body { tag, body } = message::body(&mut frame).expect("a body");
        match tag {
            tag::BOOTSTRAP => Self::Bootstrap { question: message::bootstrap(&frame, &body) },
            tag::CALL => {
                let call = Call::parse(&mut frame, body).expect("a call");
                let payload = Load::of(&mut frame, &call.payload, root.pointer(0).pointer(1));
                let method = (call.interface, call.method);
                let (yourself, pipeline_only) = (call.results_to == 1, call.only_promise_pipeline);
                Self::Call {
                    question: call.question,
                    method,
                    yourself,
                    pipeline_only,
                    target: call.target,
                    payload,
                }
            }
            tag::RETURN => {
                let answer = Return::parse(&mut frame, body).expect("a return");
                let outcome = match &answer.outcome {
                    Outcome::Results(payload) => {
                        Out::Results(Load::of(&mut frame, payload, root.pointer(0).pointer(0)))
                    }
                    Outcome::Exception => Out::Exception(root.pointer(0).pointer(0).clone()),
                    Outcome::Canceled => Out::Canceled,
                    Outcome::ResultsSentElsewhere => Out::Elsewhere,
                    Outcome::TakeFromOtherQuestion(_) => Out::Take,
                    Outcome::AwaitFromThirdParty => panic!("workerd knows no third parties"),
                };
                Self::Return { answer: answer.answer, release_params: answer.release_param_caps, outcome }
            }
            tag::FINISH => {
                let (question, flags) = message::finish(&frame, &body);
                Self::Finish { question, flags }
            }
            tag::RESOLVE => {
                let resolve = Resolve::parse(&mut frame, body).expect("a resolve");
                let exception = root.pointer(0).pointer(0).clone();
                Self::Resolve { promise: resolve.promise, cap: resolve.cap, exception }
            }
            tag::RELEASE => {
                let (id, count) = message::release(&frame, &body);
                Self::Release { id, count }
            }
            _ => Self::Other,
        }
    }

    /// The capabilities in the message.
    pub fn caps(&self) -> &[Descriptor] {
        match self {
            Self::Call { payload, .. } | Self::Return { outcome: Out::Results(payload), .. } => &payload.caps,
            Self::Resolve { cap, .. } => cap.as_slice(),
            _ => &[],
        }
    }

    /// The ids of its sender's own capabilities in it, one for each mention.
    pub fn exported(&self) -> impl Iterator<Item = u32> {
        self.caps().iter().filter_map(|cap| match cap {
            Descriptor::SenderHosted(id) | Descriptor::SenderPromise(id) => Some(*id),
            _ => None,
        })
    }

    /// The question that it asks.
    pub fn asks(&self) -> Option<u32> {
        match self {
            Self::Bootstrap { question } | Self::Call { question, .. } => Some(*question),
            _ => None,
        }
    }

    /// The question of the receiver that it answers.
    pub fn answers(&self) -> Option<u32> {
        match self {
            Self::Return { answer, .. } => Some(*answer),
            _ => None,
        }
    }
}

impl Load {
    fn of(frame: &mut Frame<'_>, payload: &Payload, at: &Node) -> Self {
        let caps = (0..payload.len()).map(|index| payload.descriptor(frame, index).expect("a descriptor"));
        Self { content: at.pointer(0).clone(), caps: caps.collect() }
    }
}

/// A Release of one reference.
pub fn release(id: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    build::release(&mut frame, id, 1);
    frame
}

/// Writes the id of the capability that a Call is for: the first word of its target.
pub fn retarget(frame: &mut Frame<'_>, id: u32) {
    let body = message::body(frame).expect("a body").body;
    let target = frame.child(&body, 0).expect("a target");
    let word = frame.word(target.pos);
    frame.set_word(target.pos, word & !0xffff_ffff | u64::from(id));
}
