//! From a message to its tree.

use super::{MAX_COUNT, MAX_DEPTH, Node, Plain, Struct, TreeError, WORD};

/// Segments of a message.
const MAX_SEGMENTS: usize = 512;
/// How many times its own size a message may unfold to: pointers may lead twice to one place.
const MAX_UNFOLDING: usize = 4;
/// What even the smallest message may unfold to, in words.
const MIN_BUDGET: usize = 1 << 16;

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
