//! A whole Cap'n Proto message as a tree, without its schema: to change a part of it and keep all the rest, known to us
//! or not.
//!
//! Generated code cannot do that. It makes the elements of a list as large as the schema says that it was made from, and
//! what a newer writer put into them beyond that is lost.

/// Bytes of a word.
const WORD: usize = 8;
/// Levels of pointers in a message. workerd's own configurations have nine.
const MAX_DEPTH: usize = 64;
/// Segments of a message.
const MAX_SEGMENTS: usize = 512;
/// How many times its own size a message may unfold to: pointers may lead twice to one place.
const MAX_UNFOLDING: usize = 4;
/// What even the smallest message may unfold to, in words.
const MIN_BUDGET: usize = 1 << 16;
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

/// Reads a whole message, segment table first. What follows it is not looked at.
///
/// # Errors
/// It is no message, or one that no honest writer makes.
pub fn read(message: &[u8]) -> Result<Node, TreeError> {
    let segments = segments(message)?;
    let words: usize = segments.iter().map(|segment| segment.len() / WORD).sum();
    let mut reader = Reader { segments, budget: (words * MAX_UNFOLDING).max(MIN_BUDGET) };
    reader.pointer(0, 0, 0)
}

fn segments(message: &[u8]) -> Result<Vec<&[u8]>, TreeError> {
    let number = |index: usize| {
        let bytes = message.get(index * 4..index * 4 + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| u32::from_le_bytes(bytes) as usize).ok_or(TreeError::Short)
    };
    let count = number(0)?.checked_add(1).filter(|count| *count <= MAX_SEGMENTS).ok_or(TreeError::Large)?;
    // Number and sizes together fill whole words.
    let mut at = (count / 2 + 1) * WORD;
    (1..=count)
        .map(|index| {
            let end = number(index)?.checked_mul(WORD).and_then(|size| size.checked_add(at));
            let segment = end.and_then(|end| message.get(at..end)).ok_or(TreeError::Short)?;
            at += segment.len();
            Ok(segment)
        })
        .collect()
}

struct Reader<'a> {
    segments: Vec<&'a [u8]>,
    /// Words that may still be unfolded.
    budget: usize,
}

/// What a pointer describes, and where that begins.
#[derive(Clone, Copy)]
struct Place {
    segment: usize,
    at: usize,
    /// The pointer's word, of which the upper half counts.
    word: u64,
}

impl Reader<'_> {
    fn spend(&mut self, words: usize) -> Result<(), TreeError> {
        self.budget = self.budget.checked_sub(words).ok_or(TreeError::Large)?;
        Ok(())
    }

    fn word(&self, segment: usize, at: usize) -> Result<u64, TreeError> {
        let bytes = self.bytes(segment, at, WORD)?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| TreeError::Stray)
    }

    fn bytes(&self, segment: usize, at: usize, length: usize) -> Result<&[u8], TreeError> {
        let start = at.checked_mul(WORD).ok_or(TreeError::Stray)?;
        let end = start.checked_add(length).ok_or(TreeError::Stray)?;
        self.segments.get(segment).and_then(|segment| segment.get(start..end)).ok_or(TreeError::Stray)
    }

    fn pointer(&mut self, segment: usize, at: usize, depth: usize) -> Result<Node, TreeError> {
        if depth > MAX_DEPTH {
            return Err(TreeError::Deep);
        }
        let word = self.word(segment, at)?;
        if word == 0 {
            return Ok(Node::Null);
        }
        let place = self.place(segment, at, word)?;
        match place.word & 3 {
            0 => {
                let (data, pointers) = sizes(place.word);
                self.structure(place.segment, place.at, data, pointers, depth).map(Node::Struct)
            }
            1 => self.list(place, depth),
            2 => Err(TreeError::Stray),
            _ => Err(TreeError::Capability),
        }
    }

    /// Follows pointers into other segments.
    fn place(&self, segment: usize, at: usize, word: u64) -> Result<Place, TreeError> {
        let near = |segment, at: usize, word: u64| {
            let offset = word as u32 as i32 >> 2;
            let at = (at + 1).checked_add_signed(offset as isize).ok_or(TreeError::Stray)?;
            Ok(Place { segment, at, word })
        };
        if word & 3 != 2 {
            return near(segment, at, word);
        }
        let (pad, pad_segment) = ((word >> 3 & MAX_COUNT as u64) as usize, (word >> 32) as usize);
        let landing = self.word(pad_segment, pad)?;
        if word & 4 == 0 {
            // One more hop would be a second way to say the same.
            return if landing & 3 == 2 { Err(TreeError::Stray) } else { near(pad_segment, pad, landing) };
        }
        if landing & 7 != 2 {
            return Err(TreeError::Stray);
        }
        let word = self.word(pad_segment, pad + 1)?;
        Ok(Place { segment: (landing >> 32) as usize, at: (landing >> 3 & MAX_COUNT as u64) as usize, word })
    }

    fn structure(
        &mut self,
        segment: usize,
        at: usize,
        data: usize,
        pointers: usize,
        depth: usize,
    ) -> Result<Struct, TreeError> {
        self.spend(data + pointers + 1)?;
        self.bytes(segment, at, (data + pointers) * WORD)?;
        let words = (0..data).map(|index| self.word(segment, at + index)).collect::<Result<_, _>>()?;
        let pointers = (0..pointers)
            .map(|index| self.pointer(segment, at + data + index, depth + 1))
            .collect::<Result<_, _>>()?;
        Ok(Struct { data: words, pointers })
    }

    fn list(&mut self, Place { segment, at, word }: Place, depth: usize) -> Result<Node, TreeError> {
        let (code, count) = ((word >> 32 & 7) as u8, (word >> 35) as usize);
        match code {
            6 => {
                self.spend(count + 1)?;
                self.bytes(segment, at, count * WORD)?;
                let nodes = (0..count).map(|index| self.pointer(segment, at + index, depth + 1));
                nodes.collect::<Result<_, _>>().map(Node::Pointers)
            }
            7 => {
                let tag = self.word(segment, at)?;
                let (elements, (data, pointers)) = ((tag as u32 >> 2) as usize, sizes(tag));
                if tag & 3 != 0 || elements.checked_mul(data + pointers) != Some(count) {
                    return Err(TreeError::Stray);
                }
                self.spend(elements)?;
                let structs = (0..elements).map(|index| {
                    let at = at + 1 + index * (data + pointers);
                    self.structure(segment, at, data, pointers, depth + 1)
                });
                structs.collect::<Result<_, _>>().map(Node::Structs)
            }
            _ => {
                let length = Plain::length(code, count);
                self.spend(length.div_ceil(WORD) + 1)?;
                let bytes = self.bytes(segment, at, length)?.to_vec();
                Ok(Node::Plain(Plain { code, count, bytes }))
            }
        }
    }
}

fn sizes(word: u64) -> (usize, usize) {
    ((word >> 32 & 0xffff) as usize, (word >> 48) as usize)
}

/// Writes a message of one segment.
///
/// # Errors
/// It is deeper or larger than a message can be.
pub fn write(root: &Node) -> Result<Vec<u8>, TreeError> {
    let mut writer = Writer { words: vec![0] };
    writer.pointer(0, root, 0)?;
    let count = u32::try_from(writer.words.len()).map_err(|_| TreeError::Large)?;
    let mut message = Vec::with_capacity((writer.words.len() + 1) * WORD);
    message.extend_from_slice(&0_u32.to_le_bytes());
    message.extend_from_slice(&count.to_le_bytes());
    writer.words.iter().for_each(|word| message.extend_from_slice(&word.to_le_bytes()));
    Ok(message)
}

struct Writer {
    words: Vec<u64>,
}

impl Writer {
    fn put(&mut self, at: usize, word: u64) {
        if let Some(slot) = self.words.get_mut(at) {
            *slot = word;
        }
    }

    fn room(&mut self, words: usize) -> Result<usize, TreeError> {
        let at = self.words.len();
        if at + words > MAX_COUNT {
            return Err(TreeError::Large);
        }
        self.words.resize(at + words, 0);
        Ok(at)
    }

    /// Makes the word at `from` a pointer to `to`.
    fn point(&mut self, from: usize, to: usize, rest: u64) {
        let offset = (to - from - 1) as u32;
        self.put(from, rest | u64::from(offset << 2));
    }

    fn pointer(&mut self, from: usize, node: &Node, depth: usize) -> Result<(), TreeError> {
        if depth > MAX_DEPTH {
            return Err(TreeError::Deep);
        }
        match node {
            Node::Null => {}
            Node::Struct(found) => {
                let (data, pointers) = (found.data.len(), found.pointers.len());
                let size = size(data, pointers)?;
                if data + pointers == 0 {
                    // It has no place; what it points at must only not be null.
                    self.put(from, 0xffff_fffc);
                    return Ok(());
                }
                let at = self.room(data + pointers)?;
                self.point(from, at, size);
                self.structure(at, data, found, depth)?;
            }
            Node::Structs(list) => self.structs(from, list, depth)?,
            Node::Pointers(list) => {
                let at = self.room(list.len())?;
                self.point(from, at, 1 | 6 << 32 | (list.len() as u64) << 35);
                for (index, node) in list.iter().enumerate() {
                    self.pointer(at + index, node, depth + 1)?;
                }
            }
            Node::Plain(Plain { code, count, bytes }) => {
                let at = self.room(bytes.len().div_ceil(WORD))?;
                self.point(from, at, 1 | u64::from(*code) << 32 | (*count as u64) << 35);
                for (index, chunk) in bytes.chunks(WORD).enumerate() {
                    let mut word = [0; WORD];
                    word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
                    self.put(at + index, u64::from_le_bytes(word));
                }
            }
        }
        Ok(())
    }

    /// All elements are as large as the largest.
    fn structs(&mut self, from: usize, list: &[Struct], depth: usize) -> Result<(), TreeError> {
        let data = list.iter().map(|one| one.data.len()).max().unwrap_or_default();
        let pointers = list.iter().map(|one| one.pointers.len()).max().unwrap_or_default();
        let (size, step) = (size(data, pointers)?, data + pointers);
        let words = step.checked_mul(list.len()).filter(|words| *words <= MAX_COUNT);
        let words = words.filter(|_| list.len() <= MAX_COUNT).ok_or(TreeError::Large)?;
        let at = self.room(words + 1)?;
        self.point(from, at, 1 | 7 << 32 | (words as u64) << 35);
        self.put(at, size | (list.len() as u64) << 2);
        for (index, one) in list.iter().enumerate() {
            self.structure(at + 1 + index * step, data, one, depth + 1)?;
        }
        Ok(())
    }

    fn structure(&mut self, at: usize, data: usize, found: &Struct, depth: usize) -> Result<(), TreeError> {
        for (index, word) in found.data.iter().enumerate() {
            self.put(at + index, *word);
        }
        for (index, node) in found.pointers.iter().enumerate() {
            self.pointer(at + data + index, node, depth + 1)?;
        }
        Ok(())
    }
}

fn size(data: usize, pointers: usize) -> Result<u64, TreeError> {
    match (u16::try_from(data), u16::try_from(pointers)) {
        (Ok(data), Ok(pointers)) => Ok(u64::from(data) << 32 | u64::from(pointers) << 48),
        _ => Err(TreeError::Large),
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
