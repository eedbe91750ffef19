//! The parts of Cap'n Proto's RPC messages that carry ids, found and patched in a [`Frame`].
//!
//! Layout: `schema/rpc.capnp`. Several booleans are true by default and therefore stored inverted:
//! `releaseParamCaps`, `releaseResultCaps` and `requireEarlyCancellationWorkaround`.

mod call;
mod payload;
mod ret;
mod target;

use super::frame::{Frame, FrameError, Struct};

pub use call::Call;
pub use payload::{Descriptor, Payload};
pub use ret::{KEEP_PARAM_CAPS, Outcome, Resolve, Return};
pub use target::{Target, Transform};

/// Tags of the union `Message`.
pub mod tag {
    #![allow(missing_docs)]
    pub const UNIMPLEMENTED: u16 = 0;
    pub const ABORT: u16 = 1;
    pub const CALL: u16 = 2;
    pub const RETURN: u16 = 3;
    pub const FINISH: u16 = 4;
    pub const RESOLVE: u16 = 5;
    pub const RELEASE: u16 = 6;
    pub const BOOTSTRAP: u16 = 8;
    pub const DISEMBARGO: u16 = 13;
}

/// Data word 0 of Finish: `releaseResultCaps` is false.
pub const KEEP_RESULT_CAPS: u64 = 1 << 32;
/// Data word 0 of Finish: `requireEarlyCancellationWorkaround` is false.
pub const NO_EARLY_CANCELLATION_WORKAROUND: u64 = 1 << 33;

/// A message's body, and where its pointer hangs.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// The tag of the union `Message`.
    pub tag: u16,
    /// The struct that the tag names.
    pub body: Struct,
}

/// Finds the body of a message.
///
/// # Errors
/// The root or the body is no struct inside the frame.
pub fn body(frame: &mut Frame) -> Result<Body, FrameError> {
    if let Some((data, body)) = frame.plain_root() {
        return Ok(Body { tag: data as u16, body });
    }
    let root = frame.root()?;
    let tag = frame.data(&root, 0) as u16;
    if root.ptrs == 0 {
        // A body of zeros may be left out, pointer and all; patching needs a place for the pointer.
        let root = frame.lengthen(root, 1, 1);
        return Ok(Body { tag, body: frame.child(&root, 0)? });
    }
    Ok(Body { tag, body: frame.child(&root, 0)? })
}

/// A Finish: the question, and its data word with the flags.
pub fn finish(frame: &Frame, body: &Struct) -> (u32, u64) {
    let word = frame.data(body, 0);
    (word as u32, word & !0xffff_ffff)
}

/// A Release: the id, and how many references go.
pub fn release(frame: &Frame, body: &Struct) -> (u32, u32) {
    let word = frame.data(body, 0);
    (word as u32, (word >> 32) as u32)
}

/// The question of a Bootstrap.
pub fn bootstrap(frame: &Frame, body: &Struct) -> u32 {
    frame.data(body, 0) as u32
}

/// What a Disembargo asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// Send it back when what went before it has gone through.
    Sender(u32),
    /// It came back.
    Receiver(u32),
    /// Level 3.
    Other,
}

/// A Disembargo.
///
/// # Errors
/// Its target leaves the frame.
pub fn disembargo(frame: &mut Frame, body: &Struct) -> Result<(Target, Loopback), FrameError> {
    let (_, target) = target::target(frame, body)?;
    let word = frame.data(body, 0);
    let loopback = match (word >> 32) as u16 {
        0 => Loopback::Sender(word as u32),
        1 => Loopback::Receiver(word as u32),
        _ => Loopback::Other,
    };
    Ok((target, loopback))
}
