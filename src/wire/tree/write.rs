//! From a tree to a message of one segment.

use super::{MAX_COUNT, MAX_DEPTH, Node, Plain, Struct, TreeError, WORD};

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
