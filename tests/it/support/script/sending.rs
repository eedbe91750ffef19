//! Messages on their way out of a test.

use capnp::message::{AllocationStrategy, Builder, HeapAllocator};
use capnp::serialize;
use jackfield::schema::rpc_capnp as rpc;
use jackfield::wire::frame::Frame;

use super::{Cap, Layout, Peer, To};

pub(super) enum Kind {
    Call { question: u32, to: To },
    Results { answer: u32 },
}

/// A Call or a Return with results under construction.
pub struct Sending<'a> {
    peer: &'a Peer,
    kind: Kind,
    caps: Vec<Cap>,
    /// Which entry of the table is at which pointer of the content.
    slots: Vec<(u16, u32)>,
    marker: u32,
    yourself: bool,
    only_pipeline: bool,
    no_pipelining: bool,
    third_party_tail: bool,
    release_params: bool,
    no_finish: bool,
}

impl<'a> Sending<'a> {
    pub(super) fn new(peer: &'a Peer, kind: Kind) -> Self {
        Sending {
            peer,
            kind,
            caps: Vec::new(),
            slots: Vec::new(),
            marker: 0,
            yourself: false,
            only_pipeline: false,
            no_pipelining: false,
            third_party_tail: false,
            release_params: false,
            no_finish: false,
        }
    }

    /// A capability at the next free pointer of the content (there are three).
    pub fn with(self, cap: Cap) -> Self {
        let slot = self.slots.len() as u16;
        self.at(&[slot], cap)
    }

    /// A capability at these pointers of the content.
    pub fn at(mut self, slots: &[u16], cap: Cap) -> Self {
        let index = self.caps.len() as u32;
        self.slots.extend(slots.iter().map(|slot| (*slot, index)));
        self.caps.push(cap);
        self
    }

    /// Capabilities in the table to which no content leads.
    pub fn table(mut self, caps: impl IntoIterator<Item = Cap>) -> Self {
        self.caps.extend(caps);
        self
    }

    /// A number in the content.
    pub fn marker(mut self, marker: u32) -> Self {
        self.marker = marker;
        self
    }

    pub fn redirected(mut self) -> Self {
        self.yourself = true;
        self
    }

    pub fn only_pipeline(mut self) -> Self {
        self.only_pipeline = true;
        self
    }

    pub fn no_pipelining(mut self) -> Self {
        self.no_pipelining = true;
        self
    }

    pub fn third_party_tail(mut self) -> Self {
        self.third_party_tail = true;
        self
    }

    pub fn release_params(mut self) -> Self {
        self.release_params = true;
        self
    }

    pub fn no_finish(mut self) -> Self {
        self.no_finish = true;
        self
    }

    pub fn send(self) {
        let bytes = self.bytes();
        self.peer.deliver(bytes);
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut message = builder(self.peer.layout);
        let root: rpc::message::Builder = message.init_root();
        match &self.kind {
            Kind::Call { question, to } => {
                let mut call = root.init_call();
                call.set_question_id(*question);
                call.set_interface_id(0x1122_3344_5566_7788);
                call.set_method_id(7);
                call.set_only_promise_pipeline(self.only_pipeline);
                call.set_no_promise_pipelining(self.no_pipelining);
                call.set_allow_third_party_tail_call(self.third_party_tail);
                if self.yourself {
                    call.reborrow().get_send_results_to().set_yourself(());
                }
                address(call.reborrow().init_target(), to);
                self.payload(call.init_params());
            }
            Kind::Results { answer } => {
                let mut ret = root.init_return();
                ret.set_answer_id(*answer);
                ret.set_release_param_caps(self.release_params);
                ret.set_no_finish_needed(self.no_finish);
                self.payload(ret.init_results());
            }
        }
        let mut bytes = serialized(message, self.peer.layout);
        self.connect(&mut bytes);
        bytes
    }

    fn payload(&self, mut payload: rpc::payload::Builder) {
        // Any struct with a number and three pointers does for content.
        let mut content = payload.reborrow().init_content().init_as::<rpc::call::Builder>();
        content.set_question_id(self.marker);
        if !self.caps.is_empty() {
            let mut table = payload.init_cap_table(self.caps.len() as u32);
            for (index, cap) in self.caps.iter().enumerate() {
                describe(table.reborrow().get(index as u32), cap);
            }
        }
    }

    /// Writes the pointers to capabilities, which the builder has no means for.
    fn connect(&self, bytes: &mut [u8]) {
        if self.slots.is_empty() {
            return;
        }
        let mut frame = Frame::new(bytes).expect("a frame");
        let body = jackfield::wire::message::body(&mut frame).expect("a body").body;
        let pointer = if matches!(self.kind, Kind::Call { .. }) { 1 } else { 0 };
        let payload = frame.child(&body, pointer).expect("a payload");
        let content = frame.child(&payload, 0).expect("content");
        for (slot, index) in &self.slots {
            let at = content.pointer(*slot).expect("a pointer in the content (none in the canonical layout)");
            frame.set_word(at, 3 | u64::from(*index) << 32);
        }
    }
}

pub(super) fn builder(layout: Layout) -> Builder<HeapAllocator> {
    match layout {
        Layout::Plain | Layout::Canonical => Builder::new_default(),
        Layout::Scattered => {
            let allocator = HeapAllocator::new()
                .first_segment_words(1)
                .allocation_strategy(AllocationStrategy::FixedSize);
            Builder::new(allocator)
        }
    }
}

pub(super) fn serialized(message: Builder<HeapAllocator>, layout: Layout) -> Vec<u8> {
    if layout != Layout::Canonical {
        return serialize::write_message_to_words(&message);
    }
    let reader = message.into_reader();
    let words = reader.canonicalize().expect("a canonical form");
    let bytes = capnp::Word::words_to_bytes(&words);
    let mut out = vec![0; 4];
    out.extend_from_slice(&(words.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
    out
}

pub(super) fn address(target: rpc::message_target::Builder, to: &To) {
    let mut target = target;
    match to {
        To::Import(id) => target.set_imported_cap(*id),
        To::Answer(question, path) => promised(target.init_promised_answer(), *question, path),
    }
}

fn promised(mut answer: rpc::promised_answer::Builder, question: u32, path: &[u16]) {
    answer.set_question_id(question);
    if path.is_empty() {
        return;
    }
    let mut ops = answer.init_transform(path.len() as u32);
    for (index, field) in path.iter().enumerate() {
        ops.reborrow().get(index as u32).set_get_pointer_field(*field);
    }
}

pub(super) fn describe(mut descriptor: rpc::cap_descriptor::Builder, cap: &Cap) {
    match cap {
        Cap::Null => descriptor.set_none(()),
        Cap::Mine(id) => descriptor.set_sender_hosted(*id),
        Cap::MyPromise(id) => descriptor.set_sender_promise(*id),
        Cap::Yours(id) => descriptor.set_receiver_hosted(*id),
        Cap::YourAnswer(question, path) => promised(descriptor.init_receiver_answer(), *question, path),
        Cap::Third(vine) => descriptor.init_third_party_hosted().set_vine_id(*vine),
    }
}
