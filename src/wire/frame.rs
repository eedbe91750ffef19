//! One Cap'n Proto message as it travels on a stream: a segment table, then the segments.
//!
//! [`Frame`] walks and patches a message in place. It is the only code that touches the words of a frame that
//! came from a peer, and it trusts nothing: every pointer is checked against its segment before it is followed,
//! and every word that the switch may rewrite is *claimed*, so that no word can be reached by two ways
//! ([`Frame::check_disjoint`]).
//!
//! Positions are word indices from the start of the frame, segment table included. What a patch adds is kept
//! aside and goes out behind the frame, as a longer last segment: the segment table keeps its size, only one
//! length in it changes, and the segment limit of the receiver is never an issue.

mod framing;
mod patch;
mod walk;

pub use framing::{MAX_SEGMENTS, length};
pub use walk::Paths;

use smallvec::SmallVec;
use thiserror::Error;

use framing::segments;

/// Longest pointer path of a promised answer. Paths come from nested structs in a schema; workerd's longest has
/// two steps, and a reader stops at a nesting of 64.
pub const MAX_TRANSFORM: usize = 64;

/// Most entries of one capability table.
pub const MAX_CAPS: usize = 65_536;

/// Why bytes are not a message that can be switched. Always the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The segment table names more segments than a receiver would accept.
    #[error("the message has {0} segments, at most {MAX_SEGMENTS} are accepted")]
    TooManySegments(u64),
    /// The message is longer than the connection's bound.
    #[error("the message is {bytes} bytes long, at most {max} are accepted")]
    TooLong {
        /// Length that the segment table claims.
        bytes: u64,
        /// The bound in force.
        max: usize,
    },
    /// The bytes end before the message does.
    #[error("the message is shorter than its segment table says")]
    Truncated,
    /// A pointer leaves its segment.
    #[error("a pointer at word {0} leaves its segment")]
    OutOfBounds(u32),
    /// A pointer has another kind than its field.
    #[error("the pointer at word {0} is of the wrong kind")]
    WrongPointer(u32),
    /// Two parts of the message share words, so that patching one would change the other.
    #[error("two parts of the message share the word {0}")]
    Overlap(u32),
    /// Something that a receiver would refuse, since it knows no such kind.
    #[error("what is at word {0} is of a kind that nobody knows")]
    UnknownKind(u32),
    /// The receiver of an exception could not read it.
    #[error("the message carries an exception that cannot be read")]
    Unreadable,
    /// A capability table or a pointer path is too long.
    #[error("a list of {0} elements is longer than is accepted")]
    ListTooLong(u32),
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    start: u32,
    len: u32,
}

/// A struct inside a frame, and where its pointer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Struct {
    /// Position of the pointer that leads here.
    pub ptr: u32,
    /// Segment that holds that pointer.
    pub ptr_segment: u16,
    /// Segment that holds the struct.
    pub segment: u16,
    /// Position of the data section.
    pub pos: u32,
    /// Words of data.
    pub data: u16,
    /// Pointers behind the data.
    pub ptrs: u16,
}

impl Struct {
    /// Position of pointer `index`, if the struct is long enough to have it.
    pub fn pointer(&self, index: u16) -> Option<u32> {
        (index < self.ptrs).then(|| self.pos + u32::from(self.data) + u32::from(index))
    }
}

/// A list of structs inside a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StructList {
    segment: u16,
    pos: u32,
    /// Number of elements.
    pub len: u32,
    data: u16,
    ptrs: u16,
}

impl StructList {
    /// The element at `index`; the caller keeps it below `len`.
    pub fn at(&self, index: u32) -> Struct {
        let step = u32::from(self.data) + u32::from(self.ptrs);
        Struct {
            ptr: 0,
            ptr_segment: self.segment,
            segment: self.segment,
            pos: self.pos + index * step,
            data: self.data,
            ptrs: self.ptrs,
        }
    }
}

fn u64_at(bytes: &[u8; 24], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// A whole message, walked and patched in place.
pub struct Frame<'a> {
    bytes: &'a mut [u8],
    /// Apart from the others: hardly any message has more than one segment.
    first: Segment,
    further: Vec<Segment>,
    claims: SmallVec<[(u32, u32); 8]>,
    added: Vec<u64>,
}

impl<'a> Frame<'a> {
    /// Takes `bytes` as exactly one message.
    ///
    /// # Errors
    /// The segment table does not match the number of bytes.
    pub fn new(bytes: &'a mut [u8]) -> Result<Self, FrameError> {
        let (mut first, mut further) = (Segment { start: 1, len: 0 }, Vec::new());
        match bytes.first_chunk::<8>().map(|table| u64::from_le_bytes(*table)) {
            Some(table) if table as u32 == 0 && (table >> 32) * 8 + 8 == bytes.len() as u64 => {
                first.len = (table >> 32) as u32;
            }
            _ => further = segments(bytes, &mut first)?,
        }
        Ok(Frame { bytes, first, further, claims: SmallVec::new(), added: Vec::new() })
    }

    fn segment(&self, id: u32) -> Option<&Segment> {
        if id == 0 { Some(&self.first) } else { self.further.get(id as usize - 1) }
    }

    /// The one behind which words are appended, and its number.
    fn last_segment(&self) -> (u32, Segment) {
        (self.further.len() as u32, self.further.last().copied().unwrap_or(self.first))
    }

    fn end(&self) -> u32 {
        (self.bytes.len() / 8) as u32
    }

    /// The word at `pos`; positions come from pointers that were checked, so a miss cannot happen and reads 0.
    #[inline]
    pub fn word(&self, pos: u32) -> u64 {
        let at = pos as usize * 8;
        match self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(word) => u64::from_le_bytes(*word),
            None => self.added.get((pos - self.end().min(pos)) as usize).copied().unwrap_or(0),
        }
    }

    /// The bytes, as patched so far in place.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Rewrites the word at `pos`.
    pub fn set_word(&mut self, pos: u32, value: u64) {
        let (at, added) = (pos as usize * 8, pos.wrapping_sub(self.end()) as usize);
        if let Some(word) = self.bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *word = value.to_le_bytes();
        } else if let Some(word) = self.added.get_mut(added) {
            *word = value;
        }
    }

    /// Data word `index` of a struct; words that a short struct lacks are 0, their default.
    pub fn data(&self, of: &Struct, index: u16) -> u64 {
        if index < of.data { self.word(of.pos + u32::from(index)) } else { 0 }
    }

    /// The root pointer's struct.
    ///
    /// # Errors
    /// It is not a struct, or leaves its segment.
    pub fn root(&mut self) -> Result<Struct, FrameError> {
        if self.first.len == 0 {
            return Err(FrameError::Truncated);
        }
        self.claim(self.first.start, 1);
        self.structure(0, self.first.start)
    }

    /// The first data word of the root, and the struct behind its first pointer, in a message that begins as every
    /// implementation writes it: in one segment the root's pointer, the root with one word and one pointer, and
    /// what that points to. `None` where [`Frame::root`] has to look closer.
    #[inline]
    pub fn plain_root(&mut self) -> Option<(u64, Struct)> {
        const ROOT: u64 = 1 << 32 | 1 << 48;
        let start = self.first.start as usize * 8;
        let head: &[u8; 24] = self.bytes.get(start..)?.first_chunk()?;
        let (root, data) = (u64_at(head, 0), u64_at(head, 8));
        let word = u64_at(head, 16);
        if root != ROOT || word & 3 != 0 || word == 0 || self.first.len < 3 {
            return None;
        }
        let ptr = self.first.start + 2;
        let (pos, (data_words, ptrs)) = (near(ptr, word), struct_size(word));
        let words = u32::from(data_words) + u32::from(ptrs);
        self.within(0, pos, words, ptr).ok()?;
        self.claims.push((self.first.start, ptr + 1));
        self.claim(pos, words);
        Some((data, Struct { ptr, ptr_segment: 0, segment: 0, pos, data: data_words, ptrs }))
    }

    /// The struct behind pointer `index` of `parent`. A null or absent pointer is an empty struct.
    ///
    /// # Errors
    /// It is not a struct, or leaves its segment.
    pub fn child(&mut self, parent: &Struct, index: u16) -> Result<Struct, FrameError> {
        match parent.pointer(index) {
            Some(ptr) => self.structure(parent.segment, ptr),
            None => Ok(Struct { ptr: 0, ptr_segment: 0, segment: 0, pos: 0, data: 0, ptrs: 0 }),
        }
    }

    #[inline]
    fn structure(&mut self, segment: u16, ptr: u32) -> Result<Struct, FrameError> {
        let found = self.follow(segment, ptr, true)?;
        let (data, ptrs) = struct_size(found.word);
        if found.word == 0 {
            return Ok(Struct {
                ptr,
                ptr_segment: segment,
                segment: found.segment,
                pos: 0,
                data: 0,
                ptrs: 0,
            });
        }
        if found.word & 3 != 0 {
            return Err(FrameError::WrongPointer(ptr));
        }
        let words = u32::from(data) + u32::from(ptrs);
        self.within(found.segment, found.pos, words, ptr)?;
        self.claim(found.pos, words);
        Ok(Struct { ptr, ptr_segment: segment, segment: found.segment, pos: found.pos, data, ptrs })
    }

    /// The list of structs behind pointer `index` of `parent`; `None` where it is null, absent or empty.
    ///
    /// # Errors
    /// It is not a list of structs of at least one word, leaves its segment, or has more than `max` elements.
    pub fn structs(
        &mut self,
        parent: &Struct,
        index: u16,
        max: usize,
    ) -> Result<Option<StructList>, FrameError> {
        let Some(ptr) = parent.pointer(index).filter(|ptr| self.word(*ptr) != 0) else { return Ok(None) };
        let found = self.follow(parent.segment, ptr, true)?;
        let (kind, size) = (found.word & 3, (found.word >> 32) & 7);
        let words = (found.word >> 35) as u32;
        if kind != 1 || size != 7 {
            return Err(FrameError::WrongPointer(ptr));
        }
        self.within(found.segment, found.pos, words.saturating_add(1), ptr)?;
        self.claim(found.pos, words + 1);
        let tag = self.word(found.pos);
        let (len, (data, ptrs)) = ((tag as u32) >> 2, struct_size(tag));
        if tag & 3 != 0 {
            return Err(FrameError::WrongPointer(ptr));
        }
        if len == 0 {
            return Ok(None);
        }
        if len as usize > max {
            return Err(FrameError::ListTooLong(len));
        }
        let step = u64::from(data) + u64::from(ptrs);
        if data == 0 || step * u64::from(len) > u64::from(words) {
            return Err(FrameError::WrongPointer(ptr));
        }
        Ok(Some(StructList { segment: found.segment, pos: found.pos + 1, len, data, ptrs }))
    }

    /// Follows the pointer at `ptr`, through a far pointer too.
    #[inline]
    fn follow(&mut self, segment: u16, ptr: u32, claim: bool) -> Result<Found, FrameError> {
        let word = self.word(ptr);
        if word & 3 != 2 {
            return Ok(Found { segment, pos: near(ptr, word), word });
        }
        self.follow_far(word, ptr, claim)
    }

    #[cold]
    fn follow_far(&mut self, word: u64, ptr: u32, claim: bool) -> Result<Found, FrameError> {
        let (pad_segment, pad) = self.far(word, ptr)?;
        let double = word & 4 != 0;
        let words = if double { 2 } else { 1 };
        self.within(pad_segment, pad, words, ptr)?;
        if claim {
            self.claim(pad, words);
        }
        let inner = self.word(pad);
        if !double {
            // A landing pad that is itself a far pointer would be a chain, which the format does not have.
            if inner & 3 == 2 {
                return Err(FrameError::WrongPointer(ptr));
            }
            return Ok(Found { segment: pad_segment, pos: near(pad, inner), word: inner });
        }
        if inner & 7 != 2 {
            return Err(FrameError::WrongPointer(ptr));
        }
        let (segment, pos) = self.far(inner, ptr)?;
        Ok(Found { segment, pos, word: self.word(pad + 1) })
    }

    fn far(&self, word: u64, ptr: u32) -> Result<(u16, u32), FrameError> {
        let id = (word >> 32) as u32;
        let segment = self.segment(id).ok_or(FrameError::OutOfBounds(ptr))?;
        let offset = (word as u32) >> 3;
        Ok((id as u16, segment.start.checked_add(offset).ok_or(FrameError::OutOfBounds(ptr))?))
    }

    #[inline]
    fn within(&self, segment: u16, pos: u32, words: u32, ptr: u32) -> Result<(), FrameError> {
        let segment = self.segment(u32::from(segment)).ok_or(FrameError::OutOfBounds(ptr))?;
        let end = u64::from(segment.start) + u64::from(segment.len);
        if pos < segment.start || u64::from(pos) + u64::from(words) > end {
            return Err(FrameError::OutOfBounds(ptr));
        }
        Ok(())
    }

    fn claim(&mut self, start: u32, words: u32) {
        if words > 0 {
            self.claims.push((start, start + words));
        }
    }

    /// The words that were claimed so far, as ranges: all that patching may rewrite.
    pub fn claimed(&self) -> &[(u32, u32)] {
        &self.claims
    }

    /// Checks that no word was reached by two ways since the frame was taken.
    ///
    /// # Errors
    /// Two claimed parts overlap.
    pub fn check_disjoint(&mut self) -> Result<(), FrameError> {
        let overlap = |pair: &[(u32, u32)]| matches!(pair, [(_, end), (start, _)] if end > start);
        // Most writers lay out what is walked first first.
        if !self.claims.windows(2).any(overlap) {
            return Ok(());
        }
        self.claims.sort_unstable();
        match self.claims.windows(2).find(|pair| overlap(pair)) {
            Some([_, (start, _)]) => Err(FrameError::Overlap(*start)),
            _ => Ok(()),
        }
    }
}

struct Found {
    segment: u16,
    pos: u32,
    word: u64,
}

/// Where a struct or list pointer at `ptr` leads. What would be before the start of the frame comes out far behind its
/// end, where it is refused: an offset has 30 bits, and a frame is shorter than 2^29 words.
fn near(ptr: u32, word: u64) -> u32 {
    ptr.wrapping_add(1).wrapping_add_signed((word as i32) >> 2)
}

fn struct_size(word: u64) -> (u16, u16) {
    ((word >> 32) as u16, (word >> 48) as u16)
}
