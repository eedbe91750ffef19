//! A whole Cap'n Proto message as a tree, without its schema: to change a part of it and keep all the rest, known to us
//! or not.
//!
//! Generated code cannot do that. It makes the elements of a list as large as the schema says that it was made from, and
//! what a newer writer put into them beyond that is lost.

mod read;
mod write;

pub use read::read;
pub use write::write;

/// Bytes of a word.
const WORD: usize = 8;
/// Levels of pointers in a message. workerd's own configurations have nine.
const MAX_DEPTH: usize = 64;
/// Words of a list, and elements: what 29 bits can count.
const MAX_COUNT: usize = (1 << 29) - 1;

/// Why a message is none, or cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// It ends before its own table says.
    #[error("the message is cut short")]
    Short,
    /// A pointer leads out of its segment, or to something else than it says.
    #[error("a pointer of the message leads nowhere")]
    Stray,
    /// Deeper than anything that is meant to be read.
    #[error("the message is too deep")]
    Deep,
    /// It unfolds to far more than it is, or has more than can be counted.
    #[error("the message is too large")]
    Large,
    /// It holds a capability, which means something only on its connection.
    #[error("the message holds a capability")]
    Capability,
}

/// What a pointer leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Node {
    /// Nothing.
    #[default]
    Null,
    /// A struct.
    Struct(Struct),
    /// A list of structs.
    Structs(Vec<Struct>),
    /// A list of pointers.
    Pointers(Vec<Node>),
    /// A list of plain values: text and data above all.
    Plain(Plain),
}

/// A struct: as many words and pointers as its writer gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Struct {
    /// Its data section.
    pub data: Vec<u64>,
    /// Its pointers.
    pub pointers: Vec<Node>,
}

/// A list of values without pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The format's code for the size of an element: nothing, a bit, or 1, 2, 4 or 8 bytes.
    code: u8,
    count: usize,
    bytes: Vec<u8>,
}

impl Plain {
    fn length(code: u8, count: usize) -> usize {
        match code {
            0 => 0,
            1 => count.div_ceil(8),
            2 => count,
            3 => count * 2,
            4 => count * 4,
            _ => count * 8,
        }
    }
}

impl Node {
    /// A text.
    pub fn text(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        Self::Plain(Plain { code: 2, count: bytes.len(), bytes })
    }

    /// The text that this is.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Plain(Plain { code: 2, bytes, .. }) => std::str::from_utf8(bytes.strip_suffix(&[0])?).ok(),
            _ => None,
        }
    }

    /// The struct that this is.
    pub fn as_struct(&mut self) -> Option<&mut Struct> {
        match self {
            Self::Struct(found) => Some(found),
            _ => None,
        }
    }

    /// The structs of the list that this is; an empty list is made of nothing.
    pub fn structs(&mut self) -> Option<&mut Vec<Struct>> {
        if matches!(self, Self::Null) || matches!(self, Self::Plain(list) if list.count == 0) {
            *self = Self::Structs(Vec::new());
        }
        match self {
            Self::Structs(list) => Some(list),
            _ => None,
        }
    }
}

impl Struct {
    /// A pointer to look at; one beyond the end is null.
    pub fn pointer(&self, index: usize) -> &Node {
        const NULL: &Node = &Node::Null;
        self.pointers.get(index).unwrap_or(NULL)
    }

    /// A pointer to change; `None` beyond the end.
    pub fn slot(&mut self, index: usize) -> Option<&mut Node> {
        self.pointers.get_mut(index)
    }

    /// Sets a pointer; the struct grows as far as need be.
    pub fn set(&mut self, index: usize, node: Node) {
        if self.pointers.len() <= index {
            self.pointers.resize(index + 1, Node::Null);
        }
        if let Some(slot) = self.pointers.get_mut(index) {
            *slot = node;
        }
    }

    /// A field of 16 bits, counted in such fields from the start.
    pub fn u16(&self, index: usize) -> u16 {
        let word = self.data.get(index / 4).copied().unwrap_or_default();
        (word >> (index % 4 * 16)) as u16
    }

    /// Sets one.
    pub fn set_u16(&mut self, index: usize, value: u16) {
        if self.data.len() <= index / 4 {
            self.data.resize(index / 4 + 1, 0);
        }
        if let Some(word) = self.data.get_mut(index / 4) {
            let shift = index % 4 * 16;
            *word = *word & !(0xffff << shift) | u64::from(value) << shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::workerd_config_capnp::{config, service};

    fn structs() -> impl Strategy<Value = Struct> {
        let leaf = (proptest::collection::vec(any::<u64>(), 0..3), any::<bool>(), "[a-z]{0,9}").prop_map(
            |(data, is_text, text)| {
                let pointers = if is_text { vec![Node::text(&text), Node::Null] } else { Vec::new() };
                Struct { data, pointers }
            },
        );
        leaf.prop_recursive(4, 32, 4, |inner| {
            let data = proptest::collection::vec(any::<u64>(), 0..3);
            let nodes = prop_oneof![
                inner.clone().prop_map(Node::Struct),
                proptest::collection::vec(inner.clone().prop_map(Node::Struct), 0..3)
                    .prop_map(Node::Pointers),
                // Elements of one list have one size.
                (inner, 0_usize..3).prop_map(|(one, count)| Node::Structs(vec![one; count])),
            ];
            (data, proptest::collection::vec(nodes, 0..3))
                .prop_map(|(data, pointers)| Struct { data, pointers })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(root in structs()) {
            let root = Node::Struct(root);
            let message = write(&root).unwrap();
            prop_assert_eq!(read(&message).unwrap(), root);
        }

        #[test]
        fn nothing_makes_it_panic(
            root in structs(),
            hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut message = write(&Node::Struct(root)).unwrap();
            for (at, byte) in hits {
                let at = at.index(message.len());
                message[at] = byte;
            }
            if let Ok(root) = read(&message) {
                write(&root).unwrap();
            }
            let _ = read(&message[..cut.index(message.len())]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn elements_larger_than_the_schema_knows_keep_what_is_in_them() {
        let mut message = capnp::message::Builder::new_default();
        let services = message.init_root::<config::Builder<'_>>().init_services(1);
        services.get(0).set_name("app");
        let mut root = read(&capnp::serialize::write_message_to_words(&message)).unwrap();
        let newer = Struct { data: vec![7, 1 << 40], pointers: vec![Node::text("x"); 5] };
        let list = root.as_struct().unwrap().slot(0).unwrap().structs().unwrap();
        list.insert(0, newer.clone());
        let written = write(&root).unwrap();
        let mut again = read(&written).unwrap();
        let list = again.as_struct().unwrap().slot(0).unwrap().structs().unwrap();
        assert_eq!(list[0], newer);
        // And generated code reads the parts that it knows.
        let reader = capnp::serialize::read_message(&*written, Default::default()).unwrap();
        let services = reader.get_root::<config::Reader<'_>>().unwrap().get_services().unwrap();
        let names: Vec<_> = services.iter().map(|one: service::Reader<'_>| one.get_name().unwrap()).collect();
        assert_eq!(names, ["x", "app"]);
    }

    #[test]
    fn messages_of_several_segments_are_read() {
        let mut message = capnp::message::Builder::new(
            capnp::message::HeapAllocator::new()
                .first_segment_words(1)
                .allocation_strategy(capnp::message::AllocationStrategy::FixedSize),
        );
        let mut services = message.init_root::<config::Builder<'_>>().init_services(3);
        for index in 0..3 {
            services.reborrow().get(index).set_name("a name of more than a word");
            services.reborrow().get(index).init_worker().set_compatibility_date("2026-11-01");
        }
        assert!(message.get_segments_for_output().len() > 3);
        let root = read(&capnp::serialize::write_message_to_words(&message)).unwrap();
        let written = write(&root).unwrap();
        let reader = capnp::serialize::read_message(&*written, Default::default()).unwrap();
        let services = reader.get_root::<config::Reader<'_>>().unwrap().get_services().unwrap();
        let service::Worker(worker) = services.get(2).which().unwrap() else { panic!() };
        assert_eq!(worker.unwrap().get_compatibility_date().unwrap(), "2026-11-01");
        assert_eq!(read(&written).unwrap(), root);
    }

    #[test]
    fn a_message_that_leads_back_to_itself_ends() {
        // A struct whose only pointer is itself.
        let mut message =
            write(&Node::Struct(Struct { data: vec![], pointers: vec![Node::text("x")] })).unwrap();
        let itself: u64 = 0xffff_fff8 | 1 << 48;
        message[16..24].copy_from_slice(&(itself | 4).to_le_bytes());
        assert_eq!(read(&message), Err(TreeError::Deep));
    }
}
