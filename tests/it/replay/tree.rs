//! The content of a message, apart from where its words lie: what two frames with equal meaning have in common. Written
//! without the codecs of the switch, so that a mistake in those does not hide itself.

/// A value that a pointer leads to. Trailing zero words and null pointers are defaults and left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Null,
    Struct { data: Vec<u64>, pointers: Vec<Node> },
    Bytes { element: u8, length: u32, words: Vec<u64> },
    Pointers(Vec<Node>),
    Structs(Vec<Node>),
    Capability(u32),
}

impl Node {
    /// The root of a frame, or nothing if it is no message.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let word =
            |at: usize| Some(u32::from_le_bytes(frame.get(at * 4..at * 4 + 4)?.try_into().ok()?) as usize);
        let count = word(0)? + 1;
        let mut start = (count / 2 + 1) * 8;
        let mut segments = Vec::new();
        for index in 0..count {
            let length = word(index + 1)? * 8;
            segments.push(frame.get(start..start + length)?);
            start += length;
        }
        Segments(segments).follow(0, 0)
    }

    /// Pointer `index` of a struct.
    pub fn pointer(&self, index: usize) -> &Self {
        match self {
            Self::Struct { pointers, .. } => pointers.get(index).unwrap_or(&Self::Null),
            _ => &Self::Null,
        }
    }

    /// Index in the capability table of the capability at `path`.
    pub fn capability(&self, path: &[u16]) -> Option<usize> {
        match path.iter().fold(self, |node, index| node.pointer(usize::from(*index))) {
            Self::Capability(index) => Some(*index as usize),
            _ => None,
        }
    }
}

struct Segments<'a>(Vec<&'a [u8]>);

impl Segments<'_> {
    fn word(&self, segment: usize, at: i64) -> Option<u64> {
        let at = usize::try_from(at).ok()? * 8;
        Some(u64::from_le_bytes(self.0.get(segment)?.get(at..at + 8)?.try_into().ok()?))
    }

    /// What the pointer at this place leads to.
    fn follow(&self, segment: usize, at: i64) -> Option<Node> {
        let pointer = self.word(segment, at)?;
        let offset = i64::from(pointer as i32 >> 2);
        match pointer & 3 {
            _ if pointer == 0 => Some(Node::Null),
            0 | 1 => self.target(pointer, segment, at + 1 + offset),
            2 => {
                let (to, pad) = ((pointer >> 32) as usize, (pointer as u32 >> 3).into());
                if pointer & 4 == 0 {
                    return self.follow(to, pad);
                }
                let far = self.word(to, pad)?;
                self.target(self.word(to, pad + 1)?, (far >> 32) as usize, (far as u32 >> 3).into())
            }
            _ => Some(Node::Capability((pointer >> 32) as u32)),
        }
    }

    /// The struct or list that `pointer` describes, wherever it lies.
    fn target(&self, pointer: u64, segment: usize, at: i64) -> Option<Node> {
        if pointer & 3 == 0 {
            return self.structure((pointer >> 32) as u16, (pointer >> 48) as u16, segment, at);
        }
        let (element, length) = ((pointer >> 32) as u8 & 7, (pointer >> 35) as u32);
        match element {
            6 => {
                let items = (0..i64::from(length)).map(|index| self.follow(segment, at + index));
                Some(Node::Pointers(items.collect::<Option<_>>()?))
            }
            7 => {
                let tag = self.word(segment, at)?;
                let (data, pointers) = ((tag >> 32) as u16, (tag >> 48) as u16);
                let size = i64::from(data) + i64::from(pointers);
                let items = (0..i64::from(tag as u32 >> 2))
                    .map(|index| self.structure(data, pointers, segment, at + 1 + index * size));
                Some(Node::Structs(items.collect::<Option<_>>()?))
            }
            _ => {
                let bits = [0, 1, 8, 16, 32, 64][usize::from(element)] * i64::from(length);
                let words = (0..(bits + 63) / 64).map(|index| self.word(segment, at + index));
                Some(Node::Bytes { element, length, words: words.collect::<Option<_>>()? })
            }
        }
    }

    fn structure(&self, data: u16, pointers: u16, segment: usize, at: i64) -> Option<Node> {
        let words = (0..i64::from(data)).map(|index| self.word(segment, at + index));
        let mut data_words = words.collect::<Option<Vec<_>>>()?;
        let first = at + i64::from(data);
        let nodes = (0..i64::from(pointers)).map(|index| self.follow(segment, first + index));
        let mut nodes = nodes.collect::<Option<Vec<_>>>()?;
        data_words.truncate(data_words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1));
        nodes.truncate(nodes.iter().rposition(|node| *node != Node::Null).map_or(0, |last| last + 1));
        Some(Node::Struct { data: data_words, pointers: nodes })
    }
}
