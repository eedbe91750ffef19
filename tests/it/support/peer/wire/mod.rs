//! RPC messages as values, written and read with the `capnp` crate: nothing of the switch's own codec.

mod read;
mod write;

pub use read::decode;
pub use write::encode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Import(u32),
    Answer(u32, Vec<u16>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desc {
    None,
    SenderHosted(u32),
    SenderPromise(u32),
    ReceiverHosted(u32),
    ReceiverAnswer(u32, Vec<u16>),
}

/// Content: which call it belongs to, and words that say so again. Capability `i` of the table is behind
/// pointer `1 + i`; the content of a Bootstrap's answer is the capability itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    pub uid: u64,
    pub words: Vec<u64>,
    pub is_cap: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thrown {
    pub reason: String,
    pub details: Vec<u8>,
}

impl Thrown {
    pub fn new(reason: &str) -> Self {
        Thrown { reason: reason.to_owned(), details: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Results(Body, Vec<Desc>),
    Exception(Thrown),
    Canceled,
    Elsewhere,
    TakeFrom(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub question: u32,
    pub target: Target,
    pub body: Body,
    pub caps: Vec<Desc>,
    pub yourself: bool,
    pub only_pipeline: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Msg {
    Bootstrap(u32),
    Call(Call),
    Return { answer: u32, release_params: bool, no_finish: bool, outcome: Outcome },
    Finish { question: u32, release_results: bool },
    Resolve { promise: u32, to: Result<Desc, Thrown> },
    Release { id: u32, count: u32 },
    Disembargo { target: Target, receiver: bool, id: u32 },
    Abort(String),
    Unimplemented,
}

/// How content lies in its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    OneSegment,
    Far,
    DoubleFar,
}
