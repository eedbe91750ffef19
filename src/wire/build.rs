//! Messages that the switch makes itself, word by word: those that have no payload of a peer's.
//!
//! Most of them are sent once or more in every event, so they are laid out by hand; the tests read them back
//! with the `capnp` crate.

use bytes::Bytes;

use super::exception::Exception;
use super::message::{Descriptor, KEEP_PARAM_CAPS, Target, tag};

/// A message of one segment under construction: root, body, then what the body points to.
struct Builder {
    words: Vec<u64>,
}

impl Builder {
    fn new(tag: u16, data: &[u64], ptrs: u16) -> Self {
        let mut words = Vec::with_capacity(16);
        words.push(0);
        words.push(struct_pointer(0, 1, 1));
        words.push(u64::from(tag));
        words.push(struct_pointer(0, data.len() as u16, ptrs));
        words.extend_from_slice(data);
        words.extend(std::iter::repeat_n(0, usize::from(ptrs)));
        Builder { words }
    }

    /// Where pointer `index` of the body is.
    fn pointer(&self, data: usize, index: usize) -> usize {
        4 + data + index
    }

    /// A new struct at the end, to which the pointer at `ptr` leads. Returns where its data starts.
    fn structure(&mut self, ptr: usize, data: u16, ptrs: u16) -> usize {
        let at = self.words.len();
        self.set(ptr, struct_pointer(at - ptr - 1, data, ptrs));
        self.words.extend(std::iter::repeat_n(0, usize::from(data) + usize::from(ptrs)));
        at
    }

    /// A new list of structs at the end. Returns where its first element starts.
    fn list(&mut self, ptr: usize, len: usize, data: u16, ptrs: u16) -> usize {
        let at = self.words.len();
        let step = usize::from(data) + usize::from(ptrs);
        self.set(ptr, 1 | ((at - ptr - 1) as u64) << 2 | 7 << 32 | ((len * step) as u64) << 35);
        self.words.push((len as u64) << 2 | u64::from(data) << 32 | u64::from(ptrs) << 48);
        self.words.extend(std::iter::repeat_n(0, len * step));
        at + 1
    }

    fn bytes(&mut self, ptr: usize, bytes: &[u8], terminated: bool) {
        let at = self.words.len();
        let len = bytes.len() + usize::from(terminated);
        self.set(ptr, 1 | ((at - ptr - 1) as u64) << 2 | 2 << 32 | (len as u64) << 35);
        let mut padded = bytes.to_vec();
        padded.resize(len.next_multiple_of(8), 0);
        for word in padded.chunks_exact(8) {
            self.words.push(word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word)));
        }
    }

    fn set(&mut self, at: usize, value: u64) {
        if let Some(word) = self.words.get_mut(at) {
            *word = value;
        }
    }

    fn target(&mut self, ptr: usize, target: &Target) {
        let at = self.structure(ptr, 1, 1);
        match target {
            Target::Import(id) => self.set(at, u64::from(*id)),
            Target::Answer { question, path } => {
                self.set(at, 1 << 32);
                self.promised_answer(at + 1, *question, path);
            }
        }
    }

    fn promised_answer(&mut self, ptr: usize, question: u32, path: &[u16]) {
        let at = self.structure(ptr, 1, 1);
        self.set(at, u64::from(question));
        if !path.is_empty() {
            let ops = self.list(at + 1, path.len(), 1, 0);
            for (index, field) in path.iter().enumerate() {
                self.set(ops + index, 1 | u64::from(*field) << 16);
            }
        }
    }

    /// Fills the CapDescriptor whose data starts at `at`.
    fn descriptor(&mut self, at: usize, cap: &Descriptor) {
        let (tag, id) = match cap {
            Descriptor::None => (0, 0),
            Descriptor::SenderHosted(id) => (1, *id),
            Descriptor::SenderPromise(id) => (2, *id),
            Descriptor::ReceiverHosted(id) => (3, *id),
            Descriptor::ReceiverAnswer { question, path } => {
                self.promised_answer(at + 1, *question, path);
                (4, 0)
            }
        };
        self.set(at, tag | u64::from(id) << 32);
    }

    fn exception(&mut self, ptr: usize, exception: &Exception) {
        let at = self.structure(ptr, 1, 3);
        self.set(at, u64::from(exception.kind.code()) << 32);
        self.bytes(at + 1, exception.reason.as_bytes(), true);
        if !exception.trace.is_empty() {
            self.bytes(at + 2, exception.trace.as_bytes(), true);
        }
        if !exception.details.is_empty() {
            let list = self.list(at + 3, exception.details.len(), 1, 1);
            for (index, (id, data)) in exception.details.iter().enumerate() {
                self.set(list + 2 * index, *id);
                self.bytes(list + 2 * index + 1, data, false);
            }
        }
    }

    /// Payload behind `ptr`: the capability table in this segment, the content in the next.
    fn payload(&mut self, ptr: usize, payload: &Content, caps: &[Descriptor]) {
        let at = self.structure(ptr, 0, 2);
        match (payload.root(), payload.len()) {
            (None, _) => {}
            // A capability pointer may not lie behind a far pointer.
            (Some(capability), 8) => self.set(at, capability),
            // A far pointer to the content's own root pointer: it and all behind it stay as they are.
            (Some(_), _) => self.set(at, 2 | 1 << 32),
        }
        if !caps.is_empty() {
            let list = self.list(at + 1, caps.len(), 1, 1);
            for (index, cap) in caps.iter().enumerate() {
                self.descriptor(list + 2 * index, cap);
            }
        }
    }

    fn write(mut self, content: Option<&Content>, out: &mut Vec<u8>) {
        let len = (self.words.len() - 1) as u64;
        let content = content.filter(|content| content.len() > 8);
        // A stream's bytes are copied once on their way out, so not again because there was no room for them.
        out.reserve(8 * self.words.len() + content.map_or(0, |content| content.len() + 8));
        match content {
            None => self.set(0, len << 32),
            Some(content) => {
                // Two segments: the table is 12 bytes, padded to 16, so one more word than the space kept for it.
                out.extend_from_slice(&(1 | len << 32).to_le_bytes());
                self.set(0, content.len() as u64 / 8);
            }
        }
        for word in &self.words {
            out.extend_from_slice(&word.to_le_bytes());
        }
        if let Some(content) = content {
            content.write(out);
        }
    }
}

fn struct_pointer(offset: usize, data: u16, ptrs: u16) -> u64 {
    (offset as u64) << 2 | u64::from(data) << 32 | u64::from(ptrs) << 48
}

/// Parameters or results that this process made: one segment, whose first word is the root pointer. A
/// capability in it is the word `3 | index << 32`, `index` counting in the table that goes with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Whole words, as they travel.
    words: Vec<u8>,
    /// What follows them, up to the end of its last word: a stream's bytes, shared with whoever gave them.
    data: Bytes,
}

impl Content {
    fn of_words(words: impl IntoIterator<Item = u64>) -> Self {
        Content { words: words.into_iter().flat_map(u64::to_le_bytes).collect(), data: Bytes::new() }
    }

    /// A struct with `ptrs` pointers, each of which is the capability of its index.
    pub fn capabilities(ptrs: u16) -> Self {
        let caps = (0..ptrs).map(|index| 3 | u64::from(index) << 32);
        Content::of_words(std::iter::once(struct_pointer(0, 0, ptrs)).chain(caps))
    }

    /// A struct whose only field is data: what every write to a stream has.
    pub fn data(bytes: Bytes) -> Self {
        let pointer = if bytes.is_empty() { 0 } else { 1 | 2 << 32 | (bytes.len() as u64) << 35 };
        Content { data: bytes, ..Content::of_words([struct_pointer(0, 0, 1), pointer]) }
    }

    /// The capability with index 0 itself: the answer to a Bootstrap.
    pub fn capability() -> Self {
        Content::of_words([3])
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.words.len() + self.data.len().next_multiple_of(8)
    }

    /// Whether it is a null pointer.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn root(&self) -> Option<u64> {
        self.words.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.words);
        out.extend_from_slice(&self.data);
        out.resize(out.len() + self.data.len().next_multiple_of(8) - self.data.len(), 0);
    }

    /// Content built with the `capnp` crate; `None` if the builder used more than one segment.
    pub fn from_message(message: &capnp::message::Builder<capnp::message::HeapAllocator>) -> Option<Self> {
        match *message.get_segments_for_output() {
            [segment] => Some(Content { words: segment.to_vec(), data: Bytes::new() }),
            _ => None,
        }
    }
}

/// Bootstrap: asks for the peer's main object.
pub fn bootstrap(out: &mut Vec<u8>, question: u32) {
    Builder::new(tag::BOOTSTRAP, &[u64::from(question)], 1).write(None, out);
}

/// Call of a method with content that we made.
pub fn call(
    out: &mut Vec<u8>,
    question: u32,
    target: &Target,
    method: (u64, u16),
    content: &Content,
    caps: &[Descriptor],
) {
    let (interface, method) = method;
    let data = [u64::from(question) | u64::from(method) << 32, interface, 0];
    let mut message = Builder::new(tag::CALL, &data, 3);
    let (to, params) = (message.pointer(3, 0), message.pointer(3, 1));
    message.target(to, target);
    message.payload(params, content, caps);
    message.write(Some(content), out);
}

/// Return of results that we made.
pub fn results(out: &mut Vec<u8>, answer: u32, content: &Content, caps: &[Descriptor]) {
    let mut message = Builder::new(tag::RETURN, &[u64::from(answer) | KEEP_PARAM_CAPS, 0], 1);
    let at = message.pointer(2, 0);
    message.payload(at, content, caps);
    message.write(Some(content), out);
}

/// Return of an exception.
pub fn exception(out: &mut Vec<u8>, answer: u32, exception: &Exception) {
    let mut message = Builder::new(tag::RETURN, &[u64::from(answer) | KEEP_PARAM_CAPS | 1 << 48, 0], 1);
    let at = message.pointer(2, 0);
    message.exception(at, exception);
    message.write(None, out);
}

/// Return that says the caller's Finish was heeded.
pub fn canceled(out: &mut Vec<u8>, answer: u32) {
    let word = u64::from(answer) | KEEP_PARAM_CAPS | 2 << 48;
    Builder::new(tag::RETURN, &[word, 0], 1).write(None, out);
}

/// Return to a tail caller.
pub fn results_sent_elsewhere(out: &mut Vec<u8>, answer: u32) {
    let word = u64::from(answer) | KEEP_PARAM_CAPS | 3 << 48;
    Builder::new(tag::RETURN, &[word, 0], 1).write(None, out);
}

/// A message whose body is one word. Half of what an event makes us send is such.
fn short(out: &mut Vec<u8>, tag: u16, data: u64) {
    let words = [4 << 32, struct_pointer(0, 1, 1), u64::from(tag), struct_pointer(0, 1, 0), data];
    let mut bytes = [0; 40];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&bytes);
}

/// Finish; `flags` as in its data word.
pub fn finish(out: &mut Vec<u8>, question: u32, flags: u64) {
    short(out, tag::FINISH, u64::from(question) | flags);
}

/// Release of `count` references.
pub fn release(out: &mut Vec<u8>, id: u32, count: u32) {
    short(out, tag::RELEASE, u64::from(id) | u64::from(count) << 32);
}

/// Resolve of a promise to a capability.
pub fn resolve(out: &mut Vec<u8>, promise: u32, cap: &Descriptor) {
    let mut message = Builder::new(tag::RESOLVE, &[u64::from(promise)], 1);
    let ptr = message.pointer(1, 0);
    let at = message.structure(ptr, 1, 1);
    message.descriptor(at, cap);
    message.write(None, out);
}

/// Resolve of a promise to an exception.
pub fn resolve_exception(out: &mut Vec<u8>, promise: u32, exception: &Exception) {
    let mut message = Builder::new(tag::RESOLVE, &[u64::from(promise) | 1 << 32], 1);
    let at = message.pointer(1, 0);
    message.exception(at, exception);
    message.write(None, out);
}

/// Disembargo, on its way out (`receiver` false) or back.
pub fn disembargo(out: &mut Vec<u8>, target: &Target, receiver: bool, embargo: u32) {
    let word = u64::from(embargo) | u64::from(receiver) << 32;
    let mut message = Builder::new(tag::DISEMBARGO, &[word], 2);
    let at = message.pointer(1, 0);
    message.target(at, target);
    message.write(None, out);
}

/// Abort: the last message on a connection.
pub fn abort(out: &mut Vec<u8>, exception: &Exception) {
    let mut message = Builder::new(tag::ABORT, &[], 0);
    message.exception(3, exception);
    message.write(None, out);
}

/// Unimplemented, with the message that we do not speak.
pub fn unimplemented(out: &mut Vec<u8>, frame: &[u8]) {
    use crate::schema::rpc_capnp::message;
    let mut rest = frame;
    let options = super::exception::reader_options(frame);
    let Ok(original) = capnp::serialize::read_message_from_flat_slice(&mut rest, options) else { return };
    let mut reply = capnp::message::Builder::new_default();
    let root = reply.init_root::<message::Builder>();
    if let Ok(original) = original.get_root::<message::Reader>() {
        // A message that cannot be copied is sent back as an empty one: the peer learns as much from it.
        let _ = { root }.set_unimplemented(original);
    }
    out.extend_from_slice(&capnp::serialize::write_message_to_words(&reply));
}
